//! The contract of all adapters, in a private chat and in a channel.

use chat::discord::Discord;

use crate::ana::Ana;
use crate::conformance::conforms;
use crate::server::Server;
use crate::{described, markdown, settings};

async fn conform(ana: Ana) {
    let bot = Discord::new(&settings(&ana.server), None).unwrap();
    conforms(&bot, &ana).await;
    assert_eq!(ana.server.faults(), [""; 0]);
    let heard = ana.server.heard();
    let introduced = heard.iter().filter(|one| *one == "identify").count();
    assert_eq!(
        introduced, 1,
        "afterwards it goes on where it was: {heard:?}"
    );
    let calls = ana.server.calls();
    let embeds = calls.iter().filter(|call| !call.body["embeds"].is_null());
    assert!(embeds.count() > 20);
    described::check(&calls);
    markdown::check(&calls);
}

#[tokio::test]
async fn it_conforms_in_a_private_chat() {
    conform(Ana::in_private(Server::start())).await;
}

#[tokio::test]
async fn it_conforms_in_a_channel() {
    conform(Ana::in_the_team(Server::start())).await;
}
