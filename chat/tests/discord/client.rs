//! `discord.js` at the server, which knows nothing of the adapter: where both agree, the server
//! is what they think Discord is.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use serde_json::json;

use crate::server::{ANA, ANAS, GUILD, OPS, Rules, Server, TOKEN};
use crate::{command, folder, until};

/// Does what a bot does, and says so.
const MAIN: &str = r#"
const { Client, GatewayIntentBits: I, Partials, ButtonBuilder, ActionRowBuilder } =
  require(process.argv[1]);
const [, , api, token, guild, channel] = process.argv;
const client = new Client({
  intents: [I.Guilds, I.GuildMessages, I.DirectMessages], partials: [Partials.Channel],
  rest: { api }, allowedMentions: { parse: [] },
});
const say = (line) => console.log(line);
client.once("clientReady", async () => {
  const app = { name: "app", description: "which", type: 3, autocomplete: true, required: true };
  const all = [{ name: "status", description: "how it is", options: [app] }];
  const listed = await client.application.commands.set(all, guild);
  const button = new ButtonBuilder({ customId: "o:x", label: "Press", style: 1 });
  const row = new ActionRowBuilder({ components: [button] });
  const room = client.channels.cache.get(channel);
  const sent = await room.send({ embeds: [{ title: "hello" }], components: [row] });
  await sent.edit({ embeds: [{ title: "hello again" }] });
  say(`ready ${client.user.username} ${listed.size} ${sent.id}`);
});
client.on("interactionCreate", async (one) => {
  if (one.isAutocomplete()) {
    await one.respond([{ name: "api", value: "api" }]);
    return say(`suggested for ${one.options.getFocused()}`);
  }
  if (one.isButton()) {
    await one.deferUpdate();
    await one.editReply({ embeds: [{ title: "pressed" }], components: [] });
    await one.followUp({ content: "only you", flags: 64 });
    return say(`pressed ${one.customId}`);
  }
  await one.deferReply();
  await one.editReply({ embeds: [{ title: `status of ${one.options.getString("app")}` }] });
  const more = await one.followUp({ content: "and more" });
  await more.delete();
  await one.editReply({ files: [{ attachment: Buffer.from("a\nb"), name: "a.log" }] });
  say(`answered ${one.commandName}`);
});
client.on("messageCreate", (one) => one.author.bot || say(`heard ${one.content}`));
client.on("shardResume", () => say("resumed"));
client.on("error", (error) => say(`error ${error}`));
process.on("unhandledRejection", (error) => { say(`error ${error.stack}`); });
client.login(token).catch((error) => say(`no login: ${error.message}`));
"#;

/// The client, and the lines that it says.
struct Client {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Client {
    fn start(server: &Server, token: &str) -> Option<Self> {
        let package = folder("node_modules/discord.js")?;
        let mut child = command("node")
            .args(["-e", MAIN])
            .arg(package)
            .args([&server.url, token, GUILD, OPS])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (told, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            lines.for_each(|line| {
                let _ = told.send(line);
            });
        });
        Some(Self { child, lines })
    }

    async fn says(&self, begin: &str) -> String {
        for _ in 0..4_800 {
            if let Ok(line) = self.lines.try_recv() {
                assert!(line.starts_with(begin), "{line}");
                return line;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("{begin}: not within two minutes");
    }
}

#[tokio::test]
async fn a_library_of_others_gets_along_with_the_server() {
    let server = Server::with(Rules {
        // It mentions in its own way.
        silent: false,
        ..Rules::default()
    });
    let Some(client) = Client::start(&server, TOKEN) else {
        return;
    };
    let ready = client.says("ready mhost 1 ").await;
    let message = ready.split(' ').next_back().unwrap();
    assert_eq!(server.shown(OPS)[0].raw(), "hello again");

    let typed = server.typed(OPS, ANA, "status", "ap");
    client.says("suggested for ap").await;
    assert_eq!(server.suggested(&typed), Some(vec!["api".to_owned()]));

    server.slash(OPS, ANA, "/status api");
    client.says("answered status").await;
    let answered = server.shown(OPS)[1].clone();
    assert_eq!(answered.raw(), "status of api");
    assert_eq!(answered.files, [("a.log".to_owned(), "a\nb".to_owned())]);
    assert_eq!(server.shown(OPS).len(), 2, "the other one was deleted");

    server.press(ANA, message, "o:x");
    client.says("pressed o:x").await;
    assert_eq!(server.shown(OPS)[0].raw(), "pressed");
    assert_eq!(server.whispered(ANA)[0].raw(), "only you");

    server.write(ANAS, ANA, "in private", json!({}));
    client.says("heard in private").await;
    server.close(4_000, "Unknown error.");
    until("it comes back", || server.times("resume") == 1).await;
    client.says("resumed").await;
    server.write(ANAS, ANA, "once more", json!({}));
    client.says("heard once more").await;
    assert_eq!(server.faults(), [""; 0]);
}

#[tokio::test]
async fn it_is_told_of_a_wrong_token_as_discord_tells() {
    let server = Server::start();
    let Some(client) = Client::start(&server, "MTAw.wrong.wrong") else {
        return;
    };
    client.says("no login: An invalid token was provided").await;
}
