//! The machine, as the files of the system tell it; programs are asked only where there are none.

use std::fs;
use std::path::Path;

use lineage_core::environment::{Cpu, Part, System};
use lineage_core::files::reason;

pub(super) fn host() -> Part<String> {
    let name = kernel_file("hostname").or_else(|| asked("hostname", &[]));
    name.ok_or_else(|| "the system does not tell it".to_owned()).into()
}

pub(super) fn system() -> Part<System> {
    Part::Known(System {
        os: std::env::consts::OS.to_owned(),
        name: fs::read_to_string("/etc/os-release").ok().and_then(|text| pretty_name(&text)),
        kernel: kernel_file("osrelease").or_else(|| asked("uname", &["-r"])),
        architecture: std::env::consts::ARCH.to_owned(),
    })
}

pub(super) fn cpu() -> Part<Cpu> {
    let threads = std::thread::available_parallelism().map_err(|error| reason(&error));
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = field(&text, "model name").map(str::to_owned);
    let model = model.or_else(|| asked("sysctl", &["-n", "machdep.cpu.brand_string"]));
    threads.map(|threads| Cpu { model, threads: threads.get() as u64 }).into()
}

pub(super) fn memory_bytes() -> Part<u64> {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes = field(&text, "MemTotal").and_then(|value| value.strip_suffix(" kB"));
    let bytes = kibibytes.and_then(|text| text.trim().parse::<u64>().ok()?.checked_mul(1024));
    let bytes = bytes.or_else(|| asked("sysctl", &["-n", "hw.memsize"])?.parse().ok());
    bytes.ok_or_else(|| "the system does not tell it".to_owned()).into()
}

/// The id of the container that this process runs in; none outside of containers.
pub(super) fn container() -> Option<Part<String>> {
    let read = |name: &str| fs::read_to_string(Path::new("/proc/self").join(name));
    let id = ["cgroup", "mountinfo"]
        .into_iter()
        .find_map(|name| container_id(&read(name).unwrap_or_default()));
    let marked = ["/.dockerenv", "/run/.containerenv"].iter().any(|path| Path::new(path).exists());
    match id {
        Some(id) => Some(Part::Known(id)),
        None if marked => Some(Part::unavailable("the container does not show its id")),
        None => None,
    }
}

/// 64 hex digits in a path that names a container: `/docker/ID`, `docker-ID.scope`,
/// `/containers/ID/hostname`.
fn container_id(text: &str) -> Option<String> {
    let words = ["docker", "containers", "containerd", "kubepods", "libpod", "crio", "lxc"];
    let lines = text.lines().filter(|line| words.iter().any(|word| line.contains(word)));
    // The layers of an overlay have ids too; they are not the container's.
    let paths = lines.flat_map(|line| line.split([' ', ':', ',']));
    let paths = paths.filter(|path| !path.contains("overlay2") && !path.contains("snapshots"));
    paths.flat_map(|path| path.split(['/', '-', '.'])).find_map(|part| {
        let hex = part.len() == 64 && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        hex.then(|| part.to_owned())
    })
}

#[cfg(target_os = "linux")]
fn kernel_file(name: &str) -> Option<String> {
    let text = fs::read_to_string(Path::new("/proc/sys/kernel").join(name)).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(not(target_os = "linux"))]
fn kernel_file(_: &str) -> Option<String> {
    None
}

/// What a small program says. On Linux no program is asked: its files have told everything by then.
#[cfg(not(target_os = "linux"))]
fn asked(program: &str, arguments: &[&str]) -> Option<String> {
    let limit = std::time::Duration::from_secs(2);
    let mut command = std::process::Command::new(program);
    let output = super::program::ask(command.args(arguments), limit, 4096).ok()?;
    Some(String::from_utf8(output).ok()?.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(target_os = "linux")]
fn asked(_: &str, _: &[&str]) -> Option<String> {
    None
}

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

fn pretty_name(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_ids_are_found_in_both_versions_of_cgroups() {
        let id = "3f".repeat(32);
        let layer = "a1".repeat(32);
        for text in [
            format!("12:cpu:/docker/{id}\n"),
            format!("0::/system.slice/docker-{id}.scope\n"),
            format!("1:name=systemd:/kubepods/burstable/pod7/{id}\n"),
            format!(
                "1 2 0:5 / / rw - overlay o rw,lowerdir=/var/lib/docker/overlay2/{layer}/diff\n\
                 3 4 8:1 /var/lib/docker/containers/{id}/hostname /etc/hostname rw - ext4 d rw\n"
            ),
            format!("1 2 0:3 /containers/overlay-containers/{id}/userdata/hosts /etc/hosts rw\n"),
        ] {
            assert_eq!(container_id(&text).as_deref(), Some(&*id), "{text}");
        }
        assert_eq!(container_id(&format!("0::/user.slice/{id}\n")), None);
        assert_eq!(container_id("0::/\n"), None);
    }

    #[test]
    fn the_machine_tells_something() {
        assert!(cpu().known().is_some_and(|cpu| cpu.threads > 0));
        assert!(system().known().is_some());
        assert_eq!(field("processor : 0\nmodel name\t: Big CPU\n", "model name"), Some("Big CPU"));
        assert_eq!(pretty_name("A=1\nPRETTY_NAME=\"Debian 13\"\n").as_deref(), Some("Debian 13"));
    }
}
