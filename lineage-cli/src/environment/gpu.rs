//! Graphics processors, as `nvidia-smi` tells them where it is installed.

use std::process::Command;
use std::time::Duration;

use lineage_core::environment::{Gpu, Part};

use super::program;

const LIMIT: Duration = Duration::from_secs(5);

pub(super) fn all() -> Part<Vec<Gpu>> {
    let Some(path) = program::find("nvidia-smi") else {
        return Part::unavailable("nvidia-smi is not installed");
    };
    let query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"];
    program::ask(Command::new(path).args(query), LIMIT, 64 * 1024).map(|text| parse(&text)).into()
}

fn parse(text: &[u8]) -> Vec<Gpu> {
    let text = String::from_utf8_lossy(text);
    let gpu = |line: &str| {
        let mut fields = line.split(',').map(|field| field.trim().to_owned());
        Some(Gpu { name: fields.next()?, memory: fields.next()?, driver: fields.next()? })
    };
    text.lines().filter_map(gpu).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_gpus() {
        let text =
            b"NVIDIA H100 80GB HBM3, 81559 MiB, 550.54.15\nNVIDIA A10, 1 MiB, 1\n\nnonsense\n";
        let names: Vec<String> = parse(text).into_iter().map(|gpu| gpu.name).collect();
        assert_eq!(names, ["NVIDIA H100 80GB HBM3", "NVIDIA A10"]);
    }
}
