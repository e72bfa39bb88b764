//! The command line of `bartizan model-server`, as a plain value.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::serve::Stop;

const USAGE: &str = "usage: model-server --listen-fd N --engine onnx --model PATH --onnxruntime PATH [--threads N] | \
    --engine python --entry PATH --python PYTHON --model-dir DIR; \
    both: [--workers N] [--queue N] [--timeout SECONDS] [--init-timeout SECONDS] [--max-body BYTES]";

/// What one replica serves, and its bounds.
#[derive(Debug, Clone)]
pub struct Options {
    /// Number of the inherited descriptor of a listening Unix socket.
    pub listen_fd: RawFd,
    /// What answers.
    pub engine: EngineOptions,
    /// Requests worked on at once: sessions of an ONNX model, processes of a Python one.
    pub workers: usize,
    /// Requests that may wait for a worker; one more is answered with 503.
    pub queue: usize,
    /// Longest run of one request; it is answered with 504. Also the longest wait for a worker, answered with 503.
    pub request_timeout: Duration,
    /// Longest `init()` of a Python entry script.
    pub init_timeout: Duration,
    /// Largest request body, in bytes.
    pub max_body: usize,
}

/// What answers.
#[derive(Debug, Clone)]
pub enum EngineOptions {
    /// ONNX Runtime in this process.
    Onnx {
        /// The model file.
        model: PathBuf,
        /// The shared library of ONNX Runtime, for example `…/onnxruntime/capi/libonnxruntime.so.1.31.1`.
        onnxruntime: PathBuf,
        /// Threads inside one run of the model.
        threads: usize,
    },
    /// A Python entry script with `init()` and `run(data)`.
    Python {
        /// The entry script.
        entry: PathBuf,
        /// The interpreter.
        python: PathBuf,
        /// Given to the script as `AZUREML_MODEL_DIR`.
        model_dir: PathBuf,
    },
}

impl Options {
    /// Reads the arguments after the program's name; a leading `model-server` is skipped.
    ///
    /// # Errors
    /// [`Stop::Usage`] names the first flag that is unknown, lacks its value, has a wrong one or is missing.
    pub fn parse(args: impl Iterator<Item = OsString>) -> Result<Self, Stop> {
        let mut flags = Flags::default();
        let mut args = args.enumerate();
        while let Some((at, flag)) = args.next() {
            if at == 0 && flag == "model-server" {
                continue;
            }
            let value = || args.next().map(|(_, value)| value);
            flags.take(&flag, value)?;
        }
        flags.finish()
    }
}

#[derive(Default)]
struct Flags {
    listen_fd: Option<RawFd>,
    engine: Option<String>,
    model: Option<PathBuf>,
    onnxruntime: Option<PathBuf>,
    threads: Option<usize>,
    entry: Option<PathBuf>,
    python: Option<PathBuf>,
    model_dir: Option<PathBuf>,
    workers: Option<usize>,
    queue: Option<usize>,
    timeout: Option<f64>,
    init_timeout: Option<f64>,
    max_body: Option<usize>,
}

impl Flags {
    fn take(&mut self, flag: &OsString, value: impl FnOnce() -> Option<OsString>) -> Result<(), Stop> {
        let name = flag.to_str().unwrap_or_default();
        let value = || value().ok_or_else(|| usage(&format!("`{name}` needs a value")));
        match name {
            "--listen-fd" => self.listen_fd = Some(number(name, value()?)?),
            "--engine" => self.engine = Some(value()?.to_string_lossy().into_owned()),
            "--model" => self.model = Some(value()?.into()),
            "--onnxruntime" => self.onnxruntime = Some(value()?.into()),
            "--threads" => self.threads = Some(number(name, value()?)?),
            "--entry" => self.entry = Some(value()?.into()),
            "--python" => self.python = Some(value()?.into()),
            "--model-dir" => self.model_dir = Some(value()?.into()),
            "--workers" => self.workers = Some(number(name, value()?)?),
            "--queue" => self.queue = Some(number(name, value()?)?),
            "--timeout" => self.timeout = Some(number(name, value()?)?),
            "--init-timeout" => self.init_timeout = Some(number(name, value()?)?),
            "--max-body" => self.max_body = Some(number(name, value()?)?),
            _ => return Err(usage(&format!("`{}` is not known", flag.to_string_lossy()))),
        }
        Ok(())
    }

    fn finish(self) -> Result<Options, Stop> {
        let engine = match self.engine.as_deref() {
            Some("onnx") => EngineOptions::Onnx {
                model: needed("--model", self.model)?,
                onnxruntime: needed("--onnxruntime", self.onnxruntime)?,
                threads: self.threads.unwrap_or(1).max(1),
            },
            Some("python") => EngineOptions::Python {
                entry: needed("--entry", self.entry)?,
                python: needed("--python", self.python)?,
                model_dir: needed("--model-dir", self.model_dir)?,
            },
            Some(other) => return Err(usage(&format!("`--engine {other}` is neither `onnx` nor `python`"))),
            None => return Err(usage("`--engine` is missing")),
        };
        Ok(Options {
            listen_fd: needed("--listen-fd", self.listen_fd)?,
            engine,
            workers: self.workers.unwrap_or(1).max(1),
            queue: self.queue.unwrap_or(64),
            request_timeout: seconds("--timeout", self.timeout.unwrap_or(60.0))?,
            init_timeout: seconds("--init-timeout", self.init_timeout.unwrap_or(300.0))?,
            max_body: self.max_body.unwrap_or(4 << 20),
        })
    }
}

fn usage(what: &str) -> Stop {
    Stop::Usage(format!("{what}; {USAGE}"))
}

fn needed<T>(name: &str, value: Option<T>) -> Result<T, Stop> {
    value.ok_or_else(|| usage(&format!("`{name}` is missing")))
}

fn number<T: FromStr>(name: &str, value: OsString) -> Result<T, Stop> {
    value
        .to_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| usage(&format!("`{name} {}` is not a number", value.to_string_lossy())))
}

fn seconds(name: &str, value: f64) -> Result<Duration, Stop> {
    Duration::try_from_secs_f64(value)
        .ok()
        .filter(|span| !span.is_zero())
        .ok_or_else(|| usage(&format!("`{name} {value}` is not a span of time")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Stop> {
        Options::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn both_engines_are_read_with_their_defaults() {
        let onnx = parse("model-server --listen-fd 3 --engine onnx --model /m.onnx --onnxruntime /ort.so").unwrap();
        assert_eq!((onnx.listen_fd, onnx.workers, onnx.max_body), (3, 1, 4 << 20));
        assert!(matches!(onnx.engine, EngineOptions::Onnx { threads: 1, .. }));
        let python =
            parse("--listen-fd 7 --engine python --entry s.py --python py --model-dir /m --workers 3 --timeout 0.5")
                .unwrap();
        assert_eq!((python.workers, python.request_timeout), (3, Duration::from_millis(500)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, part) in [
            ("--engine onnx --model m", "`--onnxruntime` is missing"),
            ("--engine tract", "neither `onnx` nor `python`"),
            ("--listen-fd x", "`--listen-fd x` is not a number"),
            ("--listen-fd", "`--listen-fd` needs a value"),
            ("--colour blue", "`--colour` is not known"),
            ("--engine python --entry s --python p --model-dir d --listen-fd 3 --timeout -1", "not a span of time"),
            ("", "`--engine` is missing"),
        ] {
            let said = parse(line).unwrap_err().to_string();
            assert!(said.contains(part), "{line}: {said}");
        }
    }
}
