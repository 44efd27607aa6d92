//! The pickle machine, run on symbols: every opcode of the protocols 0 to 5 (Python's
//! `pickletools.py`), nothing imported and nothing called.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::globals::{self, Listing};
use super::input::{Fault, Input};
use super::torch;
use super::value::{Dtype, Global, Value};
use crate::inspect::report::{Report, Severity};

const STACK_MAX: usize = 500_000;
const MEMO_MAX: usize = 4_000_000;
/// What the memo's texts and tuples may take together.
const MEMO_BYTES_MAX: u64 = 128 << 20;

/// How a pickle is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrays {
    /// As `joblib.load` does: after an array's wrapper its raw numbers lie in the stream.
    Joblib,
    /// As `pickle.load` does: everything is opcodes.
    Plain,
}

/// The number with which torch's older files begin, as LONG1 holds it.
const TORCH_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

pub(super) struct Machine<'m, 'a> {
    pub(super) input: &'m mut Input<'a>,
    pub(super) report: &'m mut Report,
    pub(super) location: &'m str,
    arrays: Arrays,
    stack: Vec<Value>,
    memo: Vec<Value>,
    memo_count: usize,
    memo_bytes: u64,
    /// How many names that look like names were imported.
    pub(super) imports: u64,
    /// What follows an array's wrapper was read as joblib does.
    pub(super) arrays_met: bool,
    /// One of these arrays holds objects.
    pub(super) objects_met: bool,
    /// It begins as torch's older files do.
    pub(super) torch_magic: bool,
}

impl<'m, 'a> Machine<'m, 'a> {
    pub(super) fn new(
        input: &'m mut Input<'a>,
        report: &'m mut Report,
        location: &'m str,
        arrays: Arrays,
    ) -> Machine<'m, 'a> {
        Machine {
            input,
            report,
            location,
            arrays,
            stack: Vec::new(),
            memo: Vec::new(),
            memo_count: 0,
            memo_bytes: 0,
            imports: 0,
            arrays_met: false,
            objects_met: false,
            torch_magic: false,
        }
    }

    /// Runs to STOP.
    pub(super) fn run(&mut self) -> Result<(), Fault> {
        loop {
            let opcode = self.input.byte()?;
            if opcode == b'.' {
                return self.pop().map(|_| ());
            }
            let known = self.data(opcode)?
                || self.structure(opcode)?
                || self.use_memo(opcode)?
                || self.action(opcode)?;
            if !known {
                let at = self.input.offset() - 1;
                return Err(Fault::Bad(format!("byte {opcode:#04x} at {at} is no opcode")));
            }
        }
    }

    /// Opcodes that push data; false for any other.
    fn data(&mut self, opcode: u8) -> Result<bool, Fault> {
        let value = match opcode {
            b'N' => Value::None,
            0x88 | 0x89 => Value::Other,
            b'I' | b'L' => self.input.number()?.map_or(Value::Other, Value::Int),
            b'J' => Value::Int(i64::from(i32::from_le_bytes(self.input.array()?))),
            b'K' => Value::Int(i64::from(self.input.byte()?)),
            b'M' => Value::Int(i64::from(u16::from_le_bytes(self.input.array()?))),
            0x8a => {
                let length = self.input.byte()?;
                self.long(u64::from(length))?
            }
            0x8b => {
                let length = self.signed_length()?;
                self.long(length)?
            }
            b'F' => self.input.line().map(|_| Value::Other)?,
            b'G' => self.input.skip(8).map(|()| Value::Other)?,
            b'S' => text(self.input.quoted()?),
            b'V' => text(self.input.raw_unicode()?),
            b'T' => {
                let length = self.signed_length()?;
                text(self.input.text(length)?)
            }
            b'U' | 0x8c => {
                let length = self.input.byte()?;
                text(self.input.text(u64::from(length))?)
            }
            b'X' => {
                let length = u32::from_le_bytes(self.input.array()?);
                text(self.input.text(u64::from(length))?)
            }
            0x8d => {
                let length = u64::from_le_bytes(self.input.array()?);
                text(self.input.text(length)?)
            }
            b'B' => self.bytes(4)?,
            b'C' => self.bytes(1)?,
            0x8e | 0x96 => self.bytes(8)?,
            // Buffers that come beside the stream.
            0x97 => Value::Other,
            _ => return Ok(false),
        };
        self.push(value)?;
        Ok(true)
    }

    fn bytes(&mut self, length_bytes: usize) -> Result<Value, Fault> {
        let mut length = [0; 8];
        for byte in length.iter_mut().take(length_bytes) {
            *byte = self.input.byte()?;
        }
        self.input.skip(u64::from_le_bytes(length))?;
        Ok(Value::Other)
    }

    fn signed_length(&mut self) -> Result<u64, Fault> {
        let length = i32::from_le_bytes(self.input.array()?);
        u64::try_from(length).map_err(|_| Fault::Bad("a negative length".to_owned()))
    }

    fn long(&mut self, length: u64) -> Result<Value, Fault> {
        if length == TORCH_MAGIC.len() as u64 {
            let magic = self.input.array::<10>()? == TORCH_MAGIC;
            self.torch_magic |= magic && self.stack.is_empty();
            return Ok(Value::Other);
        }
        if length > 8 {
            return self.input.skip(length).map(|()| Value::Other);
        }
        let mut bytes = [0; 8];
        let mut last = 0;
        for byte in bytes.iter_mut().take(length as usize) {
            *byte = self.input.byte()?;
            last = *byte;
        }
        if last & 0x80 != 0 {
            bytes.iter_mut().skip(length as usize).for_each(|byte| *byte = 0xff);
        }
        Ok(Value::Int(i64::from_le_bytes(bytes)))
    }

    /// Opcodes that rearrange the stack or fill containers; false for any other.
    fn structure(&mut self, opcode: u8) -> Result<bool, Fault> {
        match opcode {
            0x80 => {
                let protocol = self.input.byte()?;
                if protocol > 5 {
                    return Err(Fault::Bad(format!("protocol {protocol} is not known")));
                }
            }
            0x95 => self.input.skip(8)?,
            0x98 => {}
            b'(' => self.push(Value::Mark)?,
            b'0' => self.pop_any().map(|_| ())?,
            b'1' => self.pop_to_mark().map(|_| ())?,
            b'2' => {
                let top = self.top()?.clone();
                self.push(top)?;
            }
            b')' => self.push(Value::tuple(Vec::new()))?,
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Value::tuple(items))?;
            }
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
                items.reverse();
                self.push(Value::tuple(items))?;
            }
            b']' | 0x8f => self.push(Value::Other)?,
            b'}' => self.push(Value::Dict(Rc::new(RefCell::new(Vec::new()))))?,
            b'l' | 0x91 => {
                self.pop_to_mark()?;
                self.push(Value::Other)?;
            }
            b'd' => {
                let items = self.pop_to_mark()?;
                let dict = Value::Dict(Rc::new(RefCell::new(Vec::new())));
                set_items(&dict, items);
                self.push(dict)?;
            }
            b'a' => self.pop().map(|_| ())?,
            b'e' | 0x90 => self.pop_to_mark().map(|_| ())?,
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.top()?.set(&key, value);
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                set_items(self.top()?, items);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Opcodes that read or write the memo; false for any other.
    fn use_memo(&mut self, opcode: u8) -> Result<bool, Fault> {
        match opcode {
            b'g' => {
                let index = self.input.number()?;
                self.get(index.and_then(|index| u64::try_from(index).ok()))?;
            }
            b'h' => {
                let index = u64::from(self.input.byte()?);
                self.get(Some(index))?;
            }
            b'j' => {
                let index = u64::from(u32::from_le_bytes(self.input.array()?));
                self.get(Some(index))?;
            }
            b'p' => {
                let index = self.input.number()?.and_then(|index| u64::try_from(index).ok());
                self.put(index.ok_or_else(|| Fault::Bad("a PUT without an index".to_owned()))?)?;
            }
            b'q' => {
                let index = u64::from(self.input.byte()?);
                self.put(index)?;
            }
            b'r' => {
                let index = u64::from(u32::from_le_bytes(self.input.array()?));
                self.put(index)?;
            }
            0x94 => self.put(self.memo_count as u64)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Opcodes that import, call, or ask the program around; false for any other.
    fn action(&mut self, opcode: u8) -> Result<bool, Fault> {
        match opcode {
            b'c' => {
                let (module, name) = (self.input.name()?, self.input.name()?);
                let global = self.import(module.as_deref(), name.as_deref());
                self.push(global)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let global = self.import(module.text(), name.text());
                self.push(global)?;
            }
            b'i' => {
                let (module, name) = (self.input.name()?, self.input.name()?);
                let global = self.import(module.as_deref(), name.as_deref());
                let arguments = Value::tuple(self.pop_to_mark()?);
                let result = self.call(&global, &arguments, true);
                self.push(result)?;
            }
            b'o' => {
                let mut items = self.pop_to_mark()?;
                if items.is_empty() {
                    return Err(Fault::Bad("OBJ without a class".to_owned()));
                }
                let class = items.remove(0);
                let result = self.call(&class, &Value::tuple(items), true);
                self.push(result)?;
            }
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                let result = self.call(&callable, &arguments, opcode == 0x81);
                self.push(result)?;
            }
            0x92 => {
                let (_, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                let result = self.call(&class, &arguments, true);
                self.push(result)?;
            }
            b'b' => self.build()?,
            0x82 => self.extension(1)?,
            0x83 => self.extension(2)?,
            0x84 => self.extension(4)?,
            b'P' => {
                self.input.line()?;
                self.persistent(&Value::Other)?;
            }
            b'Q' => {
                let id = self.pop()?;
                self.persistent(&id)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Notes an import and judges it.
    fn import(&mut self, module: Option<&str>, name: Option<&str>) -> Value {
        let (Some(module), Some(name)) = (module, name) else {
            let detail = "imports something whose name is made while the file is loaded";
            self.report.add(Severity::Suspicious, "unresolved-name", self.location, detail);
            return Value::Result;
        };
        let listing = globals::listing(module, name);
        let global = Global { module: module.to_owned(), name: name.to_owned(), listing };
        let full_name = global.full_name();
        self.imports += u64::from(globals::is_plausible(module, name));
        self.report.import(full_name.clone(), self.location);
        match listing {
            Listing::Safe => {}
            Listing::Unlisted => {
                let detail = format!("imports {full_name}, which is not listed as safe");
                self.report.add(Severity::Unknown, "unlisted-import", self.location, detail);
            }
            Listing::Bad(what) => {
                let detail = format!("imports {full_name}, which {what}");
                self.report.add(Severity::Dangerous, "known-bad", self.location, detail);
            }
        }
        Value::Global(Rc::new(global))
    }

    /// Judges a call and gives what it returns; `class` when the result is an instance.
    fn call(&mut self, callable: &Value, arguments: &Value, class: bool) -> Value {
        let Value::Global(global) = callable else {
            let detail = "calls something that only loading it would tell";
            self.report.add(Severity::Suspicious, "dynamic-call", self.location, detail);
            return Value::Result;
        };
        match global.listing {
            Listing::Unlisted => {
                let detail = format!("calls {}, which is not listed as safe", global.full_name());
                self.report.add(Severity::Suspicious, "unlisted-call", self.location, detail);
                return Value::Result;
            }
            Listing::Bad(_) => return Value::Result,
            Listing::Safe => {}
        }
        if let Some(passed) = unlisted_inside(arguments) {
            let detail = format!(
                "passes {} to {}, which may call it; it is not listed as safe",
                passed.full_name(),
                global.full_name()
            );
            self.report.add(Severity::Suspicious, "unlisted-call", self.location, detail);
        }
        let first = arguments.items().and_then(|items| items.first());
        if global.module == "copyreg" || global.module == "copy_reg" {
            // Makes an instance of its first argument.
            return match first {
                Some(class @ Value::Global(_)) => self.call(class, &Value::Other, true),
                _ => self.call(&Value::Result, &Value::Other, true),
            };
        }
        if global.is("numpy", "dtype") {
            let dtype = first.and_then(Value::text).and_then(Dtype::parse);
            return dtype.map_or(Value::Result, |dtype| Value::Dtype(Rc::new(Cell::new(dtype))));
        }
        if let Some((dtype, elements)) = torch::rebuilt(global, arguments) {
            self.report.tensor(dtype, elements);
        }
        if class { Value::Instance(Rc::clone(global)) } else { Value::Result }
    }

    fn build(&mut self) -> Result<(), Fault> {
        let state = self.pop()?;
        match self.top()? {
            Value::Global(global) => {
                let detail = format!("changes {} itself, not an object", global.full_name());
                self.report.add(Severity::Suspicious, "class-changed", self.location, detail);
            }
            Value::Dtype(dtype) => {
                let mut changed = dtype.get();
                changed.set_state(&state);
                dtype.set(changed);
            }
            Value::Instance(class) if is_array_wrapper(class) && self.arrays == Arrays::Joblib => {
                self.array(&state)?;
                self.pop()?;
                self.push(Value::Other)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Skips the raw numbers that follow the wrapper of an array, as joblib lays them out.
    fn array(&mut self, state: &Value) -> Result<(), Fault> {
        let lost = |what: &str| Fault::Bad(format!("an array's raw numbers follow, of {what}"));
        let Some(Value::Dtype(dtype)) = state.get("dtype") else {
            return Err(lost("a type that is not known"));
        };
        let dtype = dtype.get();
        if dtype.doubtful {
            let detail = "an array's type contradicts itself, so that readers may disagree \
                          about where its numbers end";
            self.report.add(Severity::Suspicious, "ambiguous-array", self.location, detail);
        }
        self.arrays_met = true;
        if dtype.objects {
            self.objects_met = true;
            let mut inside = Machine::new(self.input, self.report, self.location, Arrays::Plain);
            let result = inside.run();
            self.imports += inside.imports;
            return result;
        }
        let elements = state.get("shape").and_then(|shape| shape.elements());
        let bytes = elements.and_then(|elements| elements.checked_mul(dtype.item_bytes));
        let bytes = bytes.ok_or_else(|| lost("a shape that is not known"))?;
        match state.get("numpy_array_alignment_bytes") {
            Some(Value::Int(_)) => {
                let padding = self.input.byte()?;
                self.input.skip(u64::from(padding))?;
            }
            None | Some(Value::None) => {}
            Some(_) => return Err(lost("an alignment that is not known")),
        }
        self.input.skip(bytes)
    }

    fn extension(&mut self, code_bytes: u64) -> Result<(), Fault> {
        self.input.skip(code_bytes)?;
        let detail = "imports through the extension registry, whose names lie in the program \
                      that loads it";
        self.report.add(Severity::Suspicious, "extension-code", self.location, detail);
        self.push(Value::Result)
    }

    fn persistent(&mut self, id: &Value) -> Result<(), Fault> {
        if let Some(dtype) = torch::storage(id) {
            return self.push(Value::Storage(dtype));
        }
        let detail = "asks the program that loads it for an object by a persistent id";
        self.report.add(Severity::Suspicious, "persistent-id", self.location, detail);
        self.push(Value::Result)
    }

    fn push(&mut self, value: Value) -> Result<(), Fault> {
        if self.stack.len() >= STACK_MAX {
            return Err(Fault::Limit("its stack grows too high"));
        }
        self.stack.push(value);
        Ok(())
    }

    fn top(&self) -> Result<&Value, Fault> {
        match self.stack.last() {
            None | Some(Value::Mark) => Err(underflow()),
            Some(value) => Ok(value),
        }
    }

    fn pop(&mut self) -> Result<Value, Fault> {
        match self.stack.pop() {
            None | Some(Value::Mark) => Err(underflow()),
            Some(value) => Ok(value),
        }
    }

    /// POP takes a mark too.
    fn pop_any(&mut self) -> Result<Value, Fault> {
        self.stack.pop().ok_or_else(underflow)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, Fault> {
        let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark));
        let mark = mark.ok_or_else(|| Fault::Bad("a mark is missing".to_owned()))?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    fn get(&mut self, index: Option<u64>) -> Result<(), Fault> {
        let found = index.and_then(|index| self.memo.get(usize::try_from(index).ok()?));
        match found {
            None | Some(Value::Absent) => Err(Fault::Bad("the memo lacks an index".to_owned())),
            Some(value) => {
                let value = value.clone();
                self.push(value)
            }
        }
    }

    fn put(&mut self, index: u64) -> Result<(), Fault> {
        let value = self.top()?.clone();
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        if index >= MEMO_MAX {
            return Err(Fault::Limit("its memo holds more than 4,000,000 objects"));
        }
        self.memo_bytes += value.weight();
        if self.memo_bytes > MEMO_BYTES_MAX {
            return Err(Fault::Limit("its memo holds more than 128 MiB of names"));
        }
        if index >= self.memo.len() {
            self.memo.resize(index + 1, Value::Absent);
        }
        if let Some(place) = self.memo.get_mut(index) {
            self.memo_count += usize::from(matches!(place, Value::Absent));
            *place = value;
        }
        Ok(())
    }
}

fn underflow() -> Fault {
    Fault::Bad("the stack is empty".to_owned())
}

/// A name that is not listed, among arguments.
fn unlisted_inside(arguments: &Value) -> Option<&Global> {
    arguments.items()?.iter().find_map(|item| match item {
        Value::Global(global) if global.listing == Listing::Unlisted => Some(&**global),
        other => unlisted_inside(other),
    })
}

fn text(text: Option<Rc<str>>) -> Value {
    text.map_or(Value::Other, Value::Text)
}

fn set_items(dict: &Value, items: Vec<Value>) {
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        dict.set(&key, value);
    }
}

fn is_array_wrapper(class: &Global) -> bool {
    class.name == "NumpyArrayWrapper"
        && matches!(&*class.module, "joblib.numpy_pickle" | "sklearn.externals.joblib.numpy_pickle")
}
