//! Receivers that other people wrote, for what has no server of its vendor here: the GELF
//! server of the npm package `graygelf`, and `osmem-server` of PyPI, which speaks the bulk
//! interface of OpenSearch and maps fields as strictly. `MHOST_COUNTERPARTS` names the folder
//! that `.ci/run` has installed them in.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use supervisor::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::counterparts::folder;
use crate::rig::{Rig, until};

/// A receiver that prints a line of JSON now and then. It ends with the test.
struct Other {
    child: Child,
    said: Arc<Mutex<Vec<Value>>>,
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Other {
    fn start(program: &str, args: &[&str]) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the receiver is a real one")]
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (kept, out) = (said.clone(), child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                kept.lock()
                    .unwrap()
                    .extend(serde_json::from_str(&line).ok());
            }
        });
        Self { child, said }
    }

    fn said(&self) -> Vec<Value> {
        self.said.lock().unwrap().clone()
    }

    async fn until(&self, count: usize) -> Vec<Value> {
        let enough = || self.said().len() >= count;
        until(enough, || format!("{:?}", self.said())).await;
        self.said()
    }
}

/// Compressed, in chunks and as it is: all arrive whole.
#[tokio::test]
async fn graygelf_reads_what_is_sent() {
    let Some(package) = folder("node_modules/graygelf/server.js") else {
        return;
    };
    let script = "const server = require(process.argv[1])(); \
        server.on('message', message => console.log(JSON.stringify(message))); \
        server.listen(0, '127.0.0.1'); \
        server._udp.on('listening', () => \
            console.log(JSON.stringify({ port: server._udp.address().port })));";
    // Port 0 would mean the usual one to it.
    let script = script.replace("listen(0,", &format!("listen({},", free_udp_port()));
    let server = Other::start("node", &["-e", &script, &package.display().to_string()]);
    let port = server.until(1).await[0]["port"].clone();
    let rig = Rig::new(&format!(
        "[sinks.g]\ntype = \"gelf\"\nhost = \"127.0.0.1\"\nport = {port}\nflush = \"50ms\"\nlabels = {{ env = \"test\" }}"
    ));
    rig.ready(&["g"]).await;
    let mut program = rig.program("api", 1, Stream::Err).await;
    let noise: String = (0..20_000u32)
        .map(|n| char::from(b'!' + u8::try_from(n.wrapping_mul(2_654_435_761) >> 25).unwrap() % 90))
        .collect();
    let long = "y".repeat(30_000);
    program.print(&format!(
        "short\n{long}\n{noise}\n{{\"level\":\"warn\",\"msg\":\"slow\",\"id\":7}}\n"
    ));
    // It unpacks side by side, so what is packed comes later.
    let got = server.until(5).await;
    let text = |message: &Value| message["short_message"].as_str().unwrap().to_owned();
    let texts: BTreeSet<String> = got[1..].iter().map(text).collect();
    let wanted = ["short".to_owned(), long, noise, "slow".to_owned()];
    assert!(texts == BTreeSet::from(wanted), "{texts:?}");
    let slow = got[1..].iter().find(|message| text(message) == "slow");
    let slow = slow.unwrap();
    assert_eq!((&slow["level"], &slow["_id_"]), (&4.into(), &7.into()));
    assert_eq!(
        (&slow["_process"], &slow["_instance"]),
        (&"api".into(), &1.into())
    );
    assert_eq!(
        (&slow["_stream"], &slow["_env"]),
        (&"err".into(), &"test".into())
    );
}

/// What its mapping refuses goes aside, and all else is kept once.
#[tokio::test]
async fn osmem_keeps_documents_and_refuses_poison() {
    let Some(program) = folder("python/osmem_server/bin/osmem-server") else {
        return;
    };
    let args = ["-addr", "127.0.0.1:0", "-no-stdin-watch", "-no-ja"];
    let server = Other::start(&program.display().to_string(), &args);
    let url = server.until(1).await[0]["url"].as_str().unwrap().to_owned();
    let rig = Rig::new(&format!(
        "[sinks.os]\ntype = \"elasticsearch\"\nurl = \"{url}\"\nindex = \"mhost-{{date}}\"\nflush = \"50ms\""
    ));
    rig.ready(&["os"]).await;
    let mut program = rig.program("api", 0, Stream::Out).await;
    program.print("plain\n{\"level\":\"error\",\"msg\":\"failed\",\"http\":{\"status\":502}}\n");
    rig.until("os", |sink| sink.sent == 2).await;
    // A text where there was an object.
    program.print("{\"msg\":\"odd\",\"http\":\"was an object\"}\n");
    for at in 0..1_200 {
        program.print(&format!("line {at}\n"));
    }
    rig.until("os", |sink| (sink.sent, sink.rejected) == (1_202, 1))
        .await;
    let dead = std::fs::read_to_string(rig.paths.sinks().join("os.dead.jsonl")).unwrap();
    assert!(
        dead.contains("odd") && dead.contains("mapper_parsing_exception"),
        "{dead}"
    );
    let count = get(&url, "/mhost-*/_count").await;
    assert_eq!(count["count"], 1_202, "{count}");
    let found = get(&url, "/mhost-*/_search?q=message:failed").await;
    let source = &found["hits"]["hits"][0]["_source"];
    assert_eq!(source["level"], "error", "{found}");
    assert_eq!(source["fields"]["http.status"], 502, "{found}");
    assert_eq!(
        (&source["process"], &source["stream"]),
        (&"api".into(), &"out".into())
    );
}

fn free_udp_port() -> u16 {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

async fn get(url: &str, path: &str) -> Value {
    let host = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}
