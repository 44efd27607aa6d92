//! JSON: data only, except where a library takes names of classes from it, as Keras and skops do.

use std::fmt;
use std::io::{BufReader, Read as _};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::pickle::{self, Listing};
use super::report::{Format, Report, Severity};
use super::source::Source;

/// Longer documents are not read.
const DOCUMENT_BYTES_MAX: u64 = 64 << 20;

/// Modules whose classes Keras makes layers of; what else it may be led to import is worth a look.
const KERAS_MODULES: [&str; 21] = [
    "keras",
    "keras.activations",
    "keras.applications",
    "keras.constraints",
    "keras.dtype_policies",
    "keras.initializers",
    "keras.layers",
    "keras.losses",
    "keras.metrics",
    "keras.optimizers",
    "keras.optimizers.legacy",
    "keras.optimizers.schedules",
    "keras.quantizers",
    "keras.random",
    "keras.regularizers",
    "keras.src.engine.functional",
    "keras.src.engine.sequential",
    "keras.src.models.functional",
    "keras.src.models.sequential",
    "keras.src.saving.serialization_lib",
    "tensorflow.keras.layers",
];

pub(super) fn inspect(source: &Source<'_>, location: &str, report: &mut Report) -> Format {
    let reader = match source.open() {
        Ok(reader) => reader,
        Err(error) => {
            pickle::unreadable(&error, location, report);
            return Format::Json;
        }
    };
    let mut limited = reader.take(DOCUMENT_BYTES_MAX + 1);
    let parsed = {
        let mut parser = serde_json::Deserializer::from_reader(BufReader::new(&mut limited));
        let mut walk = Walk { report, location };
        (&mut walk).deserialize(&mut parser).and_then(|_| parser.end())
    };
    if limited.limit() == 0 {
        let detail = "not read to its end: a JSON document of more than 64 MiB";
        report.add(Severity::Unknown, "size-cap", location, detail);
    } else if let Err(error) = parsed {
        let detail = format!("is no sound JSON: {error}");
        report.add(Severity::Unknown, "malformed", location, detail);
    }
    Format::Json
}

/// Visits every object, and keeps of each only the names that a library would import by.
struct Walk<'r> {
    report: &'r mut Report,
    location: &'r str,
}

/// A value: of texts the text, of anything else that it is something.
enum Value {
    Text(String),
    Other,
}

impl<'de> DeserializeSeed<'de> for &mut Walk<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// The texts of an object that name a class.
#[derive(Default)]
struct Named {
    class_name: Option<String>,
    module: Option<String>,
    registered_name: Option<String>,
    skops_class: Option<String>,
    skops_module: Option<String>,
}

impl<'de> Visitor<'de> for &mut Walk<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(super::report::shortened(text)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        while seq.next_element_seed(&mut *self)?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut named = Named::default();
        while let Some(key) = map.next_key::<String>()? {
            let Value::Text(text) = map.next_value_seed(&mut *self)? else { continue };
            let place = match key.as_str() {
                "class_name" => &mut named.class_name,
                "module" => &mut named.module,
                "registered_name" => &mut named.registered_name,
                "__class__" => &mut named.skops_class,
                "__module__" => &mut named.skops_module,
                "keras_version" => {
                    self.report.detail("keras version", &text);
                    continue;
                }
                _ => continue,
            };
            // Readers disagree about which of two equal keys counts, so each of them is judged.
            let former = place.replace(text);
            if former.is_some() {
                let detail = format!("the key {key} stands twice in one object");
                self.report.add(Severity::Suspicious, "duplicate-name", self.location, detail);
            }
        }
        self.judge(&named);
        Ok(Value::Other)
    }
}

impl Walk<'_> {
    fn judge(&mut self, named: &Named) {
        if let (Some(class), Some(module)) = (&named.skops_class, &named.skops_module) {
            self.skops(module, class);
        }
        let Some(class) = &named.class_name else { return };
        if matches!(class.as_str(), "Lambda" | "__lambda__" | "TFOpLambda") {
            let detail = format!("{class}: the model holds Python code of its own");
            self.report.add(Severity::Suspicious, "lambda", self.location, detail);
        }
        if let Some(module) = &named.module {
            self.keras(module, class);
        }
        let foreign = named.registered_name.as_deref().filter(|name| name.contains('>'));
        if let Some(name) = foreign {
            let detail =
                format!("needs the class {name}, whose code the loading program must bring");
            self.report.add(Severity::Unknown, "foreign-class", self.location, detail);
        }
    }

    fn keras(&mut self, module: &str, class: &str) {
        let full = format!("{module}.{class}");
        if KERAS_MODULES.contains(&module) {
            return;
        }
        let (severity, detail) = match pickle::listing(module, class) {
            Listing::Bad(what) if !module.starts_with("keras") => {
                (Severity::Dangerous, format!("names {full}, which {what}"))
            }
            _ if module.starts_with("keras.") => {
                (Severity::Unknown, format!("names {full}, which is not listed as safe"))
            }
            _ => (Severity::Suspicious, format!("names {full}, which is no part of Keras")),
        };
        self.report.add(severity, "foreign-class", self.location, detail);
    }

    fn skops(&mut self, module: &str, class: &str) {
        let full = format!("{module}.{class}");
        self.report.import(full.clone(), self.location);
        match pickle::listing(module, class) {
            Listing::Safe => {}
            Listing::Unlisted => {
                let detail = format!("imports {full}, which is not listed as safe");
                self.report.add(Severity::Unknown, "unlisted-import", self.location, detail);
            }
            Listing::Bad(what) => {
                let detail = format!("imports {full}, which {what}");
                self.report.add(Severity::Dangerous, "known-bad", self.location, detail);
            }
        }
    }
}
