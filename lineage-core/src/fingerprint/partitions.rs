//! The content of a folder of tables that are one table: the rows of its files in the order of their
//! paths. Kinds of texts are found over all files first; then the files are read one after another.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use crate::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use crate::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::content::{ContentError, Digested, Partitioning, Table, TableOptions, Typing, Watched};
use super::directory::Walk;
use super::parallel::{self, Decoded, Job};
use super::readings::FileState;
use super::rows::{Batches, declared};
use super::text::{self, Pieces};
use crate::context::Observer;
use crate::files::{self, FileError};
use crate::readers::arrow_ipc::ArrowReader;
use crate::readers::compressed::Decompressed;
use crate::readers::csv::{Classes, Parser};
use crate::readers::ndjson::{NdjsonColumns, NdjsonReader};
use crate::readers::parquet::ParquetTable;
use crate::readers::partitioned::{ListedFile, PartitionFile, Partitions, check_columns};
use crate::readers::{Compression, DeclaredColumn, TableFormat};
use crate::table::{ColumnKind, columns_of};

/// The states of a dataset's files; none when one cannot be told.
pub(super) fn states(walk: &Walk) -> Option<Vec<FileState>> {
    let state = |path: &std::path::Path| FileState::of(&std::fs::metadata(path).ok()?);
    walk.files.iter().map(|file| state(&file.absolute)).collect()
}

/// Reads the files of a folder as one table.
pub(super) fn read(
    walk: &Walk,
    options: &TableOptions,
    observer: &dyn Observer,
) -> Result<Table, ContentError> {
    let partitions = partitions(walk, options)?;
    let reading = Reading { partitions: &partitions, options, observer };
    let (kinds, columns, typing) = reading.kinds()?;
    let digested = reading.digest(&kinds, columns, typing)?;
    Ok(digested.table(partitions.format))
}

/// Gives all rows of a folder that was read as `table`, with the kinds that were found then.
pub(super) fn each_batch(
    walk: &Walk,
    table: &Table,
    options: &TableOptions,
    observer: &dyn Observer,
    take: &mut dyn FnMut(&RecordBatch) -> Result<(), ContentError>,
) -> Result<(), ContentError> {
    let partitions = partitions(walk, options)?;
    let reading = Reading { partitions: &partitions, options, observer };
    let keys = partitions.files.first().map_or(0, |file| file.keys.len());
    let columns = table.digest.columns.iter();
    let own = columns.len().checked_sub(keys).ok_or(ContentError::Changed)?;
    let own: Columns = columns.take(own).map(|c| (c.name.clone(), c.kind.clone())).collect();
    let kinds = reading.known_kinds(&own)?;
    for batch in reading.batches_of_all(&kinds) {
        let (file, batch) = batch?;
        if observer.interrupted() {
            return Err(FileError::Interrupted.into());
        }
        take(&with_keys(file, &batch)?)?;
    }
    Ok(())
}

fn partitions(walk: &Walk, options: &TableOptions) -> Result<Partitions, ContentError> {
    let listed = walk
        .files
        .iter()
        .map(|file| ListedFile { path: file.absolute.clone(), relative: file.relative.clone() });
    let hive = options.partitioning == Partitioning::Hive;
    Ok(Partitions::new(listed.collect(), hive)?)
}

struct Reading<'a> {
    partitions: &'a Partitions,
    options: &'a TableOptions,
    observer: &'a dyn Observer,
}

/// What the files are read with.
enum Kinds {
    Csv(Parser),
    Ndjson(SchemaRef),
    /// Every file tells its own.
    File,
}

type Columns = Vec<(String, ColumnKind)>;

impl Reading<'_> {
    fn open(&self, file: &PartitionFile) -> Result<File, ContentError> {
        Ok(files::open_to_read(&file.path).map_err(FileError::io("read", &file.path))?)
    }

    fn text(&self, file: &PartitionFile) -> Result<Box<dyn Read + Send + '_>, ContentError> {
        let watched = Watched::new(self.open(file)?, self.observer);
        Ok(Box::new(Decompressed::new(watched, file.compression)?))
    }

    /// What the files are read with, and the columns that they hold themselves.
    fn kinds(&self) -> Result<(Kinds, Columns, Typing), ContentError> {
        let files = &self.partitions.files;
        match self.partitions.format {
            TableFormat::Csv | TableFormat::Tsv => {
                let dialect = self.options.dialect(self.partitions.format);
                let mut found: Option<(Vec<String>, Vec<Classes>)> = None;
                for file in files {
                    let open = || self.text(file);
                    let (names, classes) =
                        text::survey(&open, dialect, self.options, self.observer)
                            .map_err(in_file(file))?;
                    match &mut found {
                        None => found = Some((names, classes)),
                        Some((first, all)) => {
                            self.check(file, &names_alone(first), &names_alone(&names))?;
                            all.iter_mut().zip(classes).for_each(|(all, found)| *all |= found);
                        }
                    }
                }
                let (names, classes) = found.unwrap_or_default();
                let declared = self.options.columns.as_deref();
                let parser = Parser::new(dialect, &names, declared, &classes)?;
                parser.second_pass(&classes)?;
                let kinds = parser.columns().map(|(_, kind)| kind.clone());
                let columns = names.into_iter().zip(kinds).collect();
                Ok((Kinds::Csv(parser), columns, self.options.typing()))
            }
            TableFormat::Ndjson => {
                let schema = self.ndjson_schema(self.options.columns.as_deref())?;
                let columns = columns_of(&schema)?;
                Ok((Kinds::Ndjson(schema), columns, self.options.typing()))
            }
            TableFormat::Parquet | TableFormat::Arrow => {
                let mut columns: Option<Columns> = None;
                for file in files {
                    let found = self.typed(file).map_err(in_file(file))?.0;
                    match &columns {
                        None => columns = Some(found),
                        Some(first) => self.check(file, first, &found)?,
                    }
                }
                Ok((Kinds::File, columns.unwrap_or_default(), Typing::File))
            }
        }
    }

    /// What files are read with whose columns are known.
    fn known_kinds(&self, columns: &Columns) -> Result<Kinds, ContentError> {
        Ok(match self.partitions.format {
            TableFormat::Csv | TableFormat::Tsv => {
                let dialect = self.options.dialect(self.partitions.format);
                let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
                let no_classes = vec![Classes::NONE; names.len()];
                Kinds::Csv(Parser::new(dialect, &names, Some(&declared(columns)), &no_classes)?)
            }
            TableFormat::Ndjson => Kinds::Ndjson(self.ndjson_schema(Some(&declared(columns)))?),
            TableFormat::Parquet | TableFormat::Arrow => Kinds::File,
        })
    }

    fn ndjson_schema(
        &self,
        declared: Option<&[DeclaredColumn]>,
    ) -> Result<SchemaRef, ContentError> {
        let mut found = NdjsonColumns::new(declared)?;
        for file in &self.partitions.files {
            let read = found.read(self.text(file)?);
            read.map_err(ContentError::from).map_err(in_file(file))?;
        }
        Ok(found.finish())
    }

    /// Whether a file has the columns of the first.
    fn check(
        &self,
        file: &PartitionFile,
        first: &Columns,
        found: &Columns,
    ) -> Result<(), ContentError> {
        let first_file = self.partitions.files.first().map_or("", |file| &file.relative);
        Ok(check_columns((first_file, first), (&file.relative, found))?)
    }

    fn typed(&self, file: &PartitionFile) -> Result<(Columns, Batches<'_>), ContentError> {
        let opened = self.open(file)?;
        if self.partitions.format == TableFormat::Parquet {
            let table = ParquetTable::open(opened)?;
            let columns = columns_of(table.schema())?;
            let batches = table.batches(0..table.rows())?;
            return Ok((columns, Box::new(batches.map(|batch| Ok(batch?)))));
        }
        let reader = match file.compression {
            Compression::None => ArrowReader::open(opened)?,
            _ => ArrowReader::stream(Decompressed::new(opened, file.compression)?)?,
        };
        let columns = columns_of(&reader.schema())?;
        Ok((columns, Box::new(reader.map(|batch| Ok(batch?)))))
    }

    fn batches<'s>(
        &'s self,
        file: &PartitionFile,
        kinds: &'s Kinds,
    ) -> Result<Batches<'s>, ContentError> {
        Ok(match kinds {
            Kinds::File => self.typed(file)?.1,
            Kinds::Ndjson(schema) => {
                let reader = NdjsonReader::new(self.text(file)?, Arc::clone(schema))?;
                Box::new(reader.map(|batch| Ok(batch?)))
            }
            Kinds::Csv(parser) => {
                let dialect = self.options.dialect(self.partitions.format);
                Box::new(text::batches(Pieces::new(self.text(file)?, dialect), parser))
            }
        })
    }

    /// The batches of all files, one after another.
    fn batches_of_all<'s>(
        &'s self,
        kinds: &'s Kinds,
    ) -> impl Iterator<Item = Result<(&'s PartitionFile, RecordBatch), ContentError>> + Send {
        let mut left = self.partitions.files.iter();
        let mut current: Option<(&PartitionFile, Batches<'_>)> = None;
        let mut next = move || loop {
            if let Some((file, batches)) = &mut current
                && let Some(batch) = batches.next()
            {
                return batch.map(|batch| Some((*file, batch))).map_err(in_file(file));
            }
            let Some(file) = left.next() else { return Ok(None) };
            current = Some((file, self.batches(file, kinds).map_err(in_file(file))?));
        };
        std::iter::from_fn(move || next().transpose())
    }

    fn digest(
        &self,
        kinds: &Kinds,
        own: Columns,
        typing: Typing,
    ) -> Result<Digested, ContentError> {
        let files = &self.partitions.files;
        let keys = files.first().map_or(&[][..], |file| &file.keys);
        let mut columns = own.clone();
        columns.extend(keys.iter().map(|(key, _)| (key.clone(), ColumnKind::String)));
        let mut batches = self.batches_of_all(kinds);
        let next = || batches.next().transpose();
        let decode = |(file, batch): (&PartitionFile, RecordBatch)| {
            let mut decoded = Decoded::whole(&own, &batch)?;
            decoded.columns.extend(keys_of(file, decoded.rows).map(Some));
            Ok(decoded)
        };
        let job = Job { columns: &columns, profile: self.options.profile, observer: self.observer };
        let hashed = parallel::in_order(&job, next, decode)?;
        Ok(Digested::of(columns, hashed, typing))
    }
}

/// The values of a file's keys, repeated for each of its rows.
fn keys_of(file: &PartitionFile, rows: usize) -> impl Iterator<Item = ArrayRef> {
    file.keys.iter().map(move |(_, value)| {
        let values = std::iter::repeat_n(value.as_deref(), rows);
        Arc::new(values.collect::<StringArray>()) as ArrayRef
    })
}

/// Rows of a file with the keys of its folders.
fn with_keys(file: &PartitionFile, batch: &RecordBatch) -> Result<RecordBatch, ContentError> {
    let mut fields: Vec<FieldRef> = batch.schema_ref().fields().iter().map(Arc::clone).collect();
    let keys = file.keys.iter();
    fields.extend(keys.map(|(name, _)| Arc::new(Field::new(name, DataType::Utf8, true))));
    let mut columns = batch.columns().to_vec();
    columns.extend(keys_of(file, batch.num_rows()));
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let schema = Arc::new(Schema::new(fields));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

/// Says which file a problem is in.
fn in_file(file: &PartitionFile) -> impl Fn(ContentError) -> ContentError + '_ {
    |problem| match problem {
        ContentError::File(error) => error.into(),
        problem => ContentError::InFile { file: file.relative.clone(), problem: Box::new(problem) },
    }
}

/// Columns of which only the names are known.
fn names_alone(names: &[String]) -> Columns {
    names.iter().map(|name| (name.clone(), ColumnKind::Null)).collect()
}
