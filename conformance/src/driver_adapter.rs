//! What redirects connections on a real machine: a command of the user, in front of whatever driver there is.
//!
//! The command is run once for each request, with `describe`, `install` or `remove` as its last argument; it reads one
//! JSON object on stdin and prints one on stdout. `docs/driver-adapter.md` has it with an example.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use crate::vocabulary::{BackendFault, ContextSpec, IpProtocol, Name};

/// The version of what is said.
pub const SCHEMA: &str = "wfp-conformance/driver/v1";

/// The exit status of a command that cannot do what it is asked.
const CANNOT: i32 = 3;

/// How long is waited for the rest of what a command printed, once it has ended.
const TO_END: Duration = Duration::from_secs(1);

/// Bytes that are read of what a command prints, at most.
const MOST: u64 = 1 << 20;

/// A command that installs and removes redirections.
#[derive(Clone, Debug)]
pub struct DriverAdapter {
    command: String,
    words: Vec<String>,
    limit: Duration,
}

/// What a driver says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Description {
    /// [`SCHEMA`].
    pub schema: String,
    /// What it is called.
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// Whether it can play several vendors at once: redirections by different names then have redirect handles of their
    /// own.
    #[serde(default)]
    pub multi_vendor: bool,
}

/// Connections of these processes to these destinations go to this proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Redirection {
    /// The name of the callout. It has one redirect handle, which no other name has.
    pub name: Name,
    /// The weight of its sublayer, where several are installed.
    pub sublayer: u16,
    /// Whose connections.
    pub of: Vec<Program>,
    /// To where; without it, to everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Vec<Target>>,
    /// Of which protocol; without it, of TCP and UDP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<IpProtocol>,
    /// Where they go instead.
    pub proxy: Proxy,
    /// `localRedirectTargetPID`.
    pub target_pid: u32,
    /// The redirect context that is left for the proxy.
    pub context: ContextSpec,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Program {
    /// Its name in the scenario.
    pub name: Name,
    /// Its number.
    pub pid: u32,
    /// The path of its image.
    pub image: String,
}

/// A destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Target {
    /// Its IPv4 address.
    pub ipv4: Ipv4Addr,
    /// Its IPv6 address.
    pub ipv6: Ipv6Addr,
    /// Its port.
    pub port: u16,
}

/// Where connections are redirected to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Proxy {
    /// The process that serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// For IPv4 destinations; without it, they are left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<SocketAddrV4>,
    /// For IPv6 destinations; without it, they are left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<SocketAddrV6>,
}

#[derive(Serialize)]
struct Request<'a, T> {
    schema: &'a str,
    #[serde(flatten)]
    rest: T,
}

/// What was installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// The name of the callout.
    pub name: Name,
    /// What the command calls it; nothing where its answer was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    id: String,
}

#[derive(Deserialize)]
struct Cannot {
    #[serde(default)]
    reason: String,
}

impl DriverAdapter {
    /// The adapter of a command, whose words are quoted as for a POSIX shell on every OS. A request may take as long as
    /// `limit`.
    ///
    /// # Errors
    /// Where it is no command.
    pub fn new(command: &str, limit: Duration) -> Result<Self, BackendFault> {
        let words = shlex::split(command).filter(|words| !words.is_empty());
        let wrong = || {
            BackendFault::Broken(format!("the driver `{command}` is no command, or lacks a quotation mark"))
        };
        Ok(Self { command: command.to_owned(), words: words.ok_or_else(wrong)?, limit })
    }

    /// What the driver says of itself.
    ///
    /// # Errors
    /// Where the command fails, or speaks another version.
    pub fn describe(&self) -> Result<Description, BackendFault> {
        let description: Description = self.ask("describe", &serde_json::json!({}))?;
        if description.schema != SCHEMA {
            return Err(self.broken(format_args!("it speaks `{}`, and not `{SCHEMA}`", description.schema)));
        }
        Ok(description)
    }

    /// Lets connections be redirected from now on.
    ///
    /// # Errors
    /// [`BackendFault::Unsupported`] where the driver cannot do that, else where the command fails. What it may have
    /// installed then, it was asked to remove.
    pub fn install(&self, redirection: &Redirection) -> Result<Installed, BackendFault> {
        let answer: Result<Answer, BackendFault> = self.ask("install", redirection);
        let name = Name::clone(&redirection.name);
        match answer {
            Ok(Answer { id }) => Ok(Installed { name, id: Some(id) }),
            Err(fault @ BackendFault::Unsupported(_)) => Err(fault),
            Err(fault) => {
                // The first fault is what matters.
                let _ = self.remove(&Installed { name, id: None });
                Err(fault)
            }
        }
    }

    /// Undoes that.
    ///
    /// # Errors
    /// Where the command fails.
    pub fn remove(&self, installed: &Installed) -> Result<(), BackendFault> {
        self.ask::<_, serde_json::Value>("remove", installed).map(|_| ())
    }

    fn broken(&self, what: impl fmt::Display) -> BackendFault {
        BackendFault::Broken(format!("the driver `{}`: {what}", self.command))
    }

    fn ask<T: Serialize, R: for<'de> Deserialize<'de>>(
        &self,
        what: &str,
        request: &T,
    ) -> Result<R, BackendFault> {
        let broken = |why: &dyn fmt::Display| self.broken(format_args!("{what}: {why}"));
        let request = Request { schema: SCHEMA, rest: request };
        let mut line = serde_json::to_vec(&request).map_err(|error| broken(&error))?;
        line.push(b'\n');
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| broken(&error))?;
        let said = runtime.block_on(async { timeout(self.limit, self.run(what, &line)).await });
        // On Windows a read that goes on, because somebody else has the pipe too, would be waited for.
        runtime.shutdown_background();
        let late = |_| broken(&format_args!("it did not end within {} s", self.limit.as_secs_f64()));
        let Said { status, stdout, stderr } = said.map_err(late)?.map_err(|error| broken(&error))?;
        match status {
            Some(0) => serde_json::from_slice(&stdout)
                .map_err(|error| broken(&format_args!("what it printed is no answer: {error}"))),
            Some(CANNOT) => {
                let reason = serde_json::from_slice::<Cannot>(&stdout).map(|cannot| cannot.reason);
                let reason = reason.unwrap_or_default();
                let reason = if reason.is_empty() { "it gives no reason" } else { &reason };
                Err(BackendFault::Unsupported(format!("by the driver `{}`: {reason}", self.command)))
            }
            status => {
                let status = status.map_or("a signal".to_owned(), |status| format!("status {status}"));
                let stderr = String::from_utf8_lossy(&stderr);
                let said = match stderr.trim() {
                    "" => String::new(),
                    text => format!("; it said: {text}"),
                };
                Err(broken(&format_args!("it ended with {status}{said}")))
            }
        }
    }

    async fn run(&self, what: &str, line: &[u8]) -> std::io::Result<Said> {
        let (program, arguments) = self.words.split_first().map_or(("", &[][..]), |(p, a)| (p.as_str(), a));
        let mut child = Command::new(program)
            .args(arguments)
            .arg(what)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let send = async {
            if let Some(mut input) = input {
                // A command need not read what it is told.
                let _ = input.write_all(line).await;
            }
        };
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let status = {
            let read = async { tokio::join!(send, all_of(output, &mut stdout), all_of(errors, &mut stderr)) };
            tokio::pin!(read);
            tokio::select! {
                biased;
                _ = &mut read => child.wait().await?,
                status = child.wait() => {
                    // Somebody whom the command has started may have its pipes, and keep them.
                    let _ = timeout(TO_END, &mut read).await;
                    status?
                }
            }
        };
        Ok(Said { status: status.code(), stdout, stderr })
    }
}

/// What a command left behind.
struct Said {
    status: Option<i32>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Reads to the end, or to [`MOST`]; what was read by then is there if it is not waited for.
async fn all_of(from: Option<impl AsyncRead + Unpin>, bytes: &mut Vec<u8>) {
    let Some(from) = from else { return };
    let mut from = from.take(MOST);
    // A pipe that breaks is one that ended.
    while let Ok(1..) = from.read_buf(bytes).await {}
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use super::*;

    /// A driver that is this script; `$1` is what it is asked.
    fn driver(script: &str) -> (tempfile::TempDir, DriverAdapter) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("driver.sh");
        fs::write(&path, script).unwrap();
        let command = format!("sh '{}'", path.display());
        let adapter = DriverAdapter::new(&command, Duration::from_secs(20)).unwrap();
        (folder, adapter)
    }

    fn redirection() -> Redirection {
        Redirection {
            name: "mine".into(),
            sublayer: 0x8000,
            of: vec![Program { name: "browser".into(), pid: 77, image: r"C:\browser.exe".to_owned() }],
            to: Some(vec![Target {
                ipv4: Ipv4Addr::new(10, 0, 0, 5),
                ipv6: Ipv6Addr::LOCALHOST,
                port: 20_002,
            }]),
            protocol: Some(IpProtocol::Tcp),
            proxy: Proxy { pid: Some(78), ipv4: Some("127.0.0.1:20001".parse().unwrap()), ipv6: None },
            target_pid: 78,
            context: ContextSpec::Destination,
        }
    }

    #[test]
    fn a_redirection_is_told_whole_and_removed_by_the_name_that_the_command_gives() {
        let (folder, adapter) = driver(
            r#"cat >> "$(dirname "$0")/told"
            case $1 in
                describe) echo '{"schema": "wfp-conformance/driver/v1", "name": "mine", "multi-vendor": true}';;
                install) echo '{"id": "filter 5"}';;
                remove) echo '{}';;
            esac"#,
        );
        let described = adapter.describe().unwrap();
        assert_eq!((described.name.as_str(), described.multi_vendor), ("mine", true));
        let installed = adapter.install(&redirection()).unwrap();
        assert_eq!(installed.id.as_deref(), Some("filter 5"));
        adapter.remove(&installed).unwrap();
        let told = fs::read_to_string(folder.path().join("told")).unwrap();
        let expected = [
            r#"{"schema":"wfp-conformance/driver/v1"}"#,
            concat!(
                r#"{"schema":"wfp-conformance/driver/v1","name":"mine","sublayer":32768,"#,
                r#""of":[{"name":"browser","pid":77,"image":"C:\\browser.exe"}],"#,
                r#""to":[{"ipv4":"10.0.0.5","ipv6":"::1","port":20002}],"protocol":"tcp","#,
                r#""proxy":{"pid":78,"ipv4":"127.0.0.1:20001"},"target-pid":78,"context":"destination"}"#,
            ),
            r#"{"schema":"wfp-conformance/driver/v1","name":"mine","id":"filter 5"}"#,
        ];
        assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    }

    #[rstest]
    #[case::cannot(r#"echo '{"reason": "only TCP"}'; exit 3"#, "not supported: by the driver `D`: only TCP")]
    #[case::cannot_say_why("exit 3", "not supported: by the driver `D`: it gives no reason")]
    #[case::fails(
        "echo no rights >&2; exit 5",
        "the driver `D`: install: it ended with status 5; it said: no rights"
    )]
    #[case::garbage(
        "echo installed",
        "the driver `D`: install: what it printed is no answer: expected value at line 1 column 1"
    )]
    #[case::another_answer(
        "echo '{}'",
        "the driver `D`: install: what it printed is no answer: missing field `id` at line 1 column 2"
    )]
    fn what_a_command_cannot_do_is_no_fault_and_everything_else_is(#[case] script: &str, #[case] text: &str) {
        let (_folder, adapter) = driver(script);
        let fault = adapter.install(&redirection()).unwrap_err();
        assert_eq!(fault.to_string().replace(&adapter.command, "D"), text);
    }

    #[test]
    fn what_may_be_there_because_the_answer_was_lost_is_removed_by_the_name_of_its_callout() {
        let (folder, mut adapter) = driver(
            r#"case $1 in
                install) exec tail -f /dev/null;;
                remove) cat >> "$(dirname "$0")/told"; echo '{}';;
            esac"#,
        );
        adapter.limit = Duration::from_millis(500);
        let fault = adapter.install(&redirection()).unwrap_err().to_string();
        assert!(fault.ends_with("install: it did not end within 0.5 s"), "{fault}");
        let told = fs::read_to_string(folder.path().join("told")).unwrap();
        assert_eq!(told, "{\"schema\":\"wfp-conformance/driver/v1\",\"name\":\"mine\"}\n");
    }

    #[test]
    fn a_command_that_leaves_somebody_with_its_pipes_is_not_waited_for() {
        let (_folder, adapter) = driver("echo '{\"id\": \"filter 5\"}'; sleep 15 & exit 0");
        let begun = std::time::Instant::now();
        assert_eq!(adapter.install(&redirection()).unwrap().id.as_deref(), Some("filter 5"));
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }

    /// The blocks of the page in this language, in their order.
    fn examples(language: &str) -> Vec<&'static str> {
        const PAGE: &str = include_str!("../../docs/driver-adapter.md");
        let fence = format!("```{language}\n");
        PAGE.split(&fence).skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block).collect()
    }

    #[test]
    fn what_the_page_shows_is_what_is_said() {
        let blocks = examples("json");
        let (describe, install, installed, remove) = (blocks[1], blocks[2], blocks[3], blocks[4]);
        assert_eq!(serde_json::from_str::<Description>(describe).unwrap().schema, SCHEMA);
        let id = serde_json::from_str::<Answer>(installed).unwrap().id;
        let removed = Installed { name: "my-driver".into(), id: Some(id) };
        let removed = serde_json::to_value(Request { schema: SCHEMA, rest: &removed }).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(remove).unwrap(), removed);
        let mut told: serde_json::Value = serde_json::from_str(install).unwrap();
        assert_eq!(told["schema"], SCHEMA);
        told.as_object_mut().unwrap().remove("schema");
        let redirection: Redirection = serde_json::from_value(told.clone()).unwrap();
        assert_eq!(serde_json::to_value(redirection).unwrap(), told);
    }

    #[test]
    fn a_command_that_does_not_end_is_not_waited_for() {
        let (_folder, mut adapter) = driver("exec tail -f /dev/null");
        adapter.limit = Duration::from_millis(100);
        let fault = adapter.describe().unwrap_err().to_string();
        assert!(fault.ends_with("describe: it did not end within 0.1 s"), "{fault}");
    }

    #[test]
    fn a_command_of_another_version_is_told_apart() {
        let (_folder, adapter) = driver(r#"echo '{"schema": "wfp-conformance/driver/v9", "name": "mine"}'"#);
        let fault = adapter.describe().unwrap_err().to_string();
        assert!(
            fault.ends_with("it speaks `wfp-conformance/driver/v9`, and not `wfp-conformance/driver/v1`"),
            "{fault}"
        );
    }

    #[test]
    fn a_command_that_is_not_there_is_a_fault() {
        let adapter = DriverAdapter::new("/no/such/driver", Duration::from_secs(1)).unwrap();
        let fault = adapter.describe().unwrap_err().to_string();
        assert!(fault.starts_with("the driver `/no/such/driver`: describe: "), "{fault}");
        assert!(DriverAdapter::new("'half", Duration::from_secs(1)).is_err());
    }
}
