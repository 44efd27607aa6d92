use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::context::Silent;
use crate::fingerprint::tests::Count;
use proptest::prelude::*;

const CHUNK: u64 = 1024;

fn crew(observer: &dyn Observer, part_bytes: u64) -> Crew<'_> {
    Crew { observer, part_bytes }
}

/// The bytes of the vectors of files.
fn counted(size_bytes: u64) -> Vec<u8> {
    (0..size_bytes).map(|at| (at % 251) as u8).collect()
}

fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// Reads a file with each number of threads; all agree.
#[track_caller]
fn read(bytes: &[u8], part_bytes: u64) {
    let (_folder, path) = written("m", bytes);
    let expected = Read { blake3: Blake3::of(bytes), size_bytes: bytes.len() as u64 };
    for threads in [1, 2, 5] {
        let found = crew(&Silent, part_bytes).read(&path, threads, &mut PageBuffer::new());
        assert_eq!(found.unwrap(), expected, "{} bytes, {threads} threads", bytes.len());
    }
}

#[test]
fn several_threads_find_the_digest_of_the_whole_around_every_boundary() {
    for part_bytes in [CHUNK, 4 * CHUNK] {
        for parts in 0..=9 {
            for size in (parts * part_bytes).saturating_sub(1)..=parts * part_bytes + 1 {
                read(&counted(size), part_bytes);
            }
        }
    }
    // Buffers and parts as they are in a release.
    let buffer = crate::files::BUFFER_BYTES as u64;
    for size in [buffer, PART_BYTES, 2 * PART_BYTES, 5 * PART_BYTES, 7 * PART_BYTES + 3 * buffer] {
        for size in size - 1..=size + 1 {
            read(&counted(size), PART_BYTES);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn several_threads_find_the_digest_of_the_whole(size in 0..150_000_u64, power in 0..6_u32) {
        read(&counted(size), CHUNK << power);
    }
}

#[test]
fn a_flipped_byte_in_any_part_changes_the_digest() {
    let mut bytes = counted(5 * CHUNK + 17);
    let expected = Blake3::of(&bytes);
    for at in [0, 1023, 1024, 3000, 5 * 1024, 5 * 1024 + 16] {
        bytes[at] ^= 1;
        let (_folder, path) = written("m", &bytes);
        let found = crew(&Silent, CHUNK).read(&path, 3, &mut PageBuffer::new()).unwrap();
        assert_ne!(found.blake3, expected, "byte {at}");
        bytes[at] ^= 1;
    }
}

#[test]
fn digests_and_lines_agree_with_their_vectors() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/vectors/served.json");
    let cases: Vec<serde_json::Value> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let (mut files, mut directories) = (0, 0);
    for case in &cases {
        let expected: Blake3 = case["blake3"].as_str().unwrap().parse().unwrap();
        if case["kind"] == "file" {
            let (_folder, path) = written("m", &counted(case["size_bytes"].as_u64().unwrap()));
            let found = crew(&Silent, CHUNK).read(&path, 2, &mut PageBuffer::new()).unwrap();
            assert_eq!(found.blake3, expected, "{}", case["about"]);
            files += 1;
            continue;
        }
        let listed = case["files"].as_array().unwrap().iter().map(|file| {
            let bytes = hex::decode(file["bytes_hex"].as_str().unwrap()).unwrap();
            (file["path"].as_str().unwrap(), bytes.len() as u64, Some(Blake3::of(&bytes)))
        });
        assert_eq!(of_files(listed), Some(expected), "{}", case["about"]);
        let lines = case["lines_utf8"].as_str().unwrap();
        assert_eq!(Blake3::of(lines.as_bytes()), expected, "{}", case["about"]);
        directories += 1;
    }
    assert!(files > 10 && directories > 3);
    assert_eq!(of_files([("a", 1, Some(Blake3::of(b"1"))), ("b", 1, None)]), None);
}

/// Large files, each read by all threads, and small ones stand in the order of the paths.
#[test]
fn a_directory_is_its_files_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = [("a", 10), ("b/large", 3 * PART_BYTES + 1), ("b/small", 0), ("c", 2 * PART_BYTES)];
    fs::create_dir(folder.path().join("b")).unwrap();
    let mut lines = String::new();
    for (path, size_bytes) in sizes {
        let bytes = counted(size_bytes);
        fs::write(folder.path().join(path), &bytes).unwrap();
        lines += &format!("{} {size_bytes} {path}\n", Blake3::of(&bytes));
    }
    let found = blake3(&Input::new(folder.path()), Kind::Directory, &Silent).unwrap();
    assert_eq!(found, Some(Blake3::of(lines.as_bytes())));
    // What is taken while SHA-256 is verified is the same.
    let input = Input { blake3: true, ..Input::new(folder.path()) };
    let together = crate::fingerprint::fingerprint(&[input], &Silent).unwrap().remove(0);
    assert_eq!(together.blake3, found);
    fs::write(folder.path().join("extra"), "").unwrap();
    assert_ne!(blake3(&Input::new(folder.path()), Kind::Directory, &Silent).unwrap(), found);
}

#[test]
fn what_is_taken_beside_sha256_is_of_the_same_bytes() {
    for size in [0, 1, 300_000, 4 * 1024 * 1024, 9_000_001] {
        let bytes = counted(size);
        let (_folder, path) = written("m", &bytes);
        let (found, blake3) = crate::fingerprint::hash_file_and(&path, true, &Silent).unwrap();
        assert_eq!(found.sha256, crate::digest::Sha256::of(&bytes));
        assert_eq!(blake3, Some(Blake3::of(&bytes)));
        assert_eq!(crate::fingerprint::hash_file_and(&path, false, &Silent).unwrap().1, None);
    }
}

/// Changes a file when its bytes are being read: so many times, once at a time whatever the threads.
struct Meddler<'a> {
    times: Mutex<u64>,
    change: &'a (dyn Fn() + Sync),
}

impl Observer for Meddler<'_> {
    fn read_bytes(&self, _bytes: u64) {
        let mut times = self.times.lock().unwrap();
        if *times > 0 {
            *times -= 1;
            (self.change)();
        }
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_read_once_more_and_then_refused() {
    let size = 40 * CHUNK;
    let append = |path: &Path| {
        OpenOptions::new().append(true).open(path).unwrap().write_all(b"more").unwrap();
    };
    let shrink = |path: &Path| {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    };
    let replace = |path: &Path| {
        let other = path.with_extension("other");
        fs::write(&other, fs::read(path).unwrap()).unwrap();
        fs::rename(other, path).unwrap();
    };
    let changes: [&(dyn Fn(&Path) + Sync); 3] = [&append, &shrink, &replace];
    for change in changes {
        for threads in [1, 3] {
            for (times, refused) in [(1, false), (u64::MAX, true)] {
                let (_folder, path) = written("m", &counted(size));
                let observer = Meddler { times: Mutex::new(times), change: &|| change(&path) };
                let found =
                    crew(&observer, 16 * CHUNK).read(&path, threads, &mut PageBuffer::new());
                if refused {
                    let error = found.unwrap_err();
                    assert!(matches!(error, FingerprintError::Changed { .. }), "{error}");
                } else {
                    let now = fs::read(&path).unwrap();
                    assert_eq!(found.unwrap().blake3, Blake3::of(&now));
                }
            }
        }
    }
}

#[test]
fn an_interrupt_is_heard_by_all_threads() {
    struct Stopped(AtomicBool);
    impl Observer for Stopped {
        fn read_bytes(&self, _bytes: u64) {
            self.0.store(true, Ordering::Relaxed);
        }
        fn interrupted(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }
    let (folder, path) = written("m", &counted(5 * PART_BYTES));
    fs::write(folder.path().join("small"), "1").unwrap();
    for (kind, path) in [(Kind::File, path.as_path()), (Kind::Directory, folder.path())] {
        let stopped = Stopped(AtomicBool::new(false));
        let error = blake3(&Input::new(path), kind, &stopped).unwrap_err();
        assert!(matches!(error, FingerprintError::File(FileError::Interrupted)), "{error}");
    }
}

#[test]
fn as_many_bytes_are_read_as_were_expected() {
    let (folder, path) = written("m", &counted(2 * PART_BYTES + 5));
    fs::write(folder.path().join("small"), "123").unwrap();
    for (kind, path, bytes) in [
        (Kind::File, path.as_path(), 2 * PART_BYTES + 5),
        (Kind::Directory, folder.path(), 2 * PART_BYTES + 8),
    ] {
        let count = Count::default();
        blake3(&Input::new(path), kind, &count).unwrap();
        assert_eq!((count.expected.into_inner(), count.read.into_inner()), (bytes, bytes));
    }
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let of = |path: &Path, kind| blake3(&Input::new(path), kind, &Silent);
    assert!(of(folder.path(), Kind::File).is_err());
    assert!(of(&folder.path().join("none"), Kind::File).is_err());
    assert!(of(&folder.path().join("none"), Kind::Directory).is_err());
    assert!(of(folder.path(), Kind::Directory).is_err());
    fs::write(folder.path().join("m"), "1").unwrap();
    assert!(of(&folder.path().join("m"), Kind::Directory).is_err());
}
