//! A child process that answers lines with lines.
//!
//! Whatever the child does, the caller gets an answer or a [`ChildError`] within a limit of time and of memory: a child
//! that says nothing, dies, or prints without end is told apart, and none of them is waited for.

use std::fmt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// The longest line that is read, in bytes. The largest observation of the suite, a context of 64 KiB, takes 130 KiB.
pub(crate) const LONGEST_LINE: u64 = 16 << 20;

/// Bytes at the end of what the child wrote to stderr that are kept, to be told with an error.
const STDERR_KEPT: usize = 2048;

/// How long a child may take to end once its stdin is closed.
const TO_END: Duration = Duration::from_secs(2);

/// A child process that reads lines and answers each with one, in the same order.
pub(crate) struct Child {
    // Before the runtime, which it needs to be dropped in.
    process: tokio::process::Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    stderr: tokio::task::JoinHandle<String>,
    /// There until the child is dropped.
    runtime: Option<Runtime>,
}

/// Why a child has not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChildError {
    /// It could not be started.
    NotStarted(String),
    /// It ended, or closed its stdout.
    Died {
        /// The exit status, where it ended.
        status: Option<ExitStatus>,
        /// What it wrote last to stderr.
        stderr: String,
        /// Half a line was there when it ended.
        cut: bool,
    },
    /// It did not answer within this time.
    Silent(Duration),
    /// It printed more than [`LONGEST_LINE`] without the end of a line.
    TooLong,
    /// What it printed is no UTF-8.
    NoText,
}

impl fmt::Display for ChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(why) => write!(f, "it cannot be started: {why}"),
            Self::Died { status, stderr, cut } => {
                f.write_str("it ended")?;
                if let Some(status) = status {
                    write!(f, " with {status}")?;
                }
                if *cut {
                    f.write_str(" in the middle of a line")?;
                }
                match stderr.trim() {
                    "" => Ok(()),
                    text => write!(f, "; it said: {text}"),
                }
            }
            Self::Silent(limit) => write!(f, "it did not answer within {} s", limit.as_secs_f64()),
            Self::TooLong => {
                write!(f, "it printed more than {} MiB without the end of a line", LONGEST_LINE >> 20)
            }
            Self::NoText => f.write_str("it printed what is no UTF-8"),
        }
    }
}

impl std::error::Error for ChildError {}

impl Child {
    /// Starts a child.
    ///
    /// # Errors
    /// [`ChildError::NotStarted`].
    pub(crate) fn start(command: Command) -> Result<Self, ChildError> {
        let not_started = |error: std::io::Error| ChildError::NotStarted(error.to_string());
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(not_started)?;
        let mut process = {
            // A child belongs to the runtime in which it is started.
            let _inside = runtime.enter();
            tokio::process::Command::from(command)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .map_err(not_started)?
        };
        let (input, output, stderr) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (Some(output), Some(stderr)) = (output, stderr) else {
            return Err(ChildError::NotStarted("it has no pipes".to_owned()));
        };
        let stderr = runtime.spawn(last_of(stderr));
        Ok(Self { process, input, output: BufReader::new(output), stderr, runtime: Some(runtime) })
    }

    /// Sends `lines`, each ended by a line feed, and reads `answers` lines. The child may answer while it is still sent
    /// to.
    ///
    /// # Errors
    /// Where it does not answer all of them within the limit; it is of no use afterwards.
    pub(crate) fn ask(
        &mut self,
        lines: &[u8],
        answers: usize,
        limit: Duration,
    ) -> Result<Vec<String>, ChildError> {
        let Self { input, output, runtime: Some(runtime), .. } = self else { return Err(self.died(false)) };
        let sending = async {
            if let Some(input) = input {
                // A child that no longer reads shows by its answers why.
                let _ = input.write_all(lines).await;
            }
        };
        let receiving = async {
            let mut answered = Vec::with_capacity(answers);
            while answered.len() < answers {
                answered.push(read_line(output).await?);
            }
            Ok(answered)
        };
        // What was not sent when all answers are there, nobody waits for.
        let exchange = async {
            tokio::pin!(sending, receiving);
            let mut sent = false;
            loop {
                tokio::select! {
                    biased;
                    result = &mut receiving => return result,
                    () = &mut sending, if !sent => sent = true,
                }
            }
        };
        let result = runtime.block_on(async { timeout(limit, exchange).await });
        match result {
            Ok(Ok(answered)) => Ok(answered),
            Ok(Err(Unread::Ended { cut })) => Err(self.died(cut)),
            Ok(Err(Unread::TooLong)) => Err(ChildError::TooLong),
            Ok(Err(Unread::NoText)) => Err(ChildError::NoText),
            Err(_) => Err(ChildError::Silent(limit)),
        }
    }

    fn died(&mut self, cut: bool) -> ChildError {
        let Self { process, stderr, runtime, .. } = self;
        let ended = runtime.as_ref().map(|runtime| {
            runtime.block_on(async {
                let status = timeout(TO_END, process.wait()).await.ok().and_then(Result::ok);
                let said = timeout(TO_END, stderr).await.ok().and_then(Result::ok);
                (status, said.unwrap_or_default())
            })
        });
        let (status, stderr) = ended.unwrap_or_default();
        ChildError::Died { status, stderr, cut }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // A child ends when its stdin does; one that does not is killed.
        self.input = None;
        let Some(runtime) = self.runtime.take() else { return };
        runtime.block_on(async {
            if timeout(TO_END, self.process.wait()).await.is_err() {
                // It cannot be killed any more where it has ended by now.
                let _ = self.process.kill().await;
            }
        });
        // On Windows a read that goes on, because somebody else has the pipe too, would be waited for.
        runtime.shutdown_background();
    }
}

/// Why there is no line.
enum Unread {
    Ended { cut: bool },
    TooLong,
    NoText,
}

async fn read_line(output: &mut BufReader<ChildStdout>) -> Result<String, Unread> {
    let mut line = Vec::new();
    // A pipe that breaks is one that ended.
    let read = output.take(LONGEST_LINE).read_until(b'\n', &mut line).await.unwrap_or(0);
    if line.last() == Some(&b'\n') {
        line.pop();
        return String::from_utf8(line).map_err(|_| Unread::NoText);
    }
    if read as u64 >= LONGEST_LINE {
        return Err(Unread::TooLong);
    }
    Err(Unread::Ended { cut: !line.is_empty() })
}

/// Reads to the end, and keeps the last of it.
async fn last_of(mut from: impl AsyncRead + Unpin) -> String {
    let mut kept = Vec::new();
    let mut part = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut part).await {
        kept.extend_from_slice(part.get(..read).unwrap_or_default());
        let surplus = kept.len().saturating_sub(STDERR_KEPT);
        kept.drain(..surplus);
    }
    String::from_utf8_lossy(&kept).into_owned()
}
