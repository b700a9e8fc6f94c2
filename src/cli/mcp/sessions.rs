//! The agents that are connected over HTTP: so many at a time and no more.
//!
//! Each is remembered here and by the daemon, which forgets the one that was quiet longest. A
//! program that greets in a loop is told so, instead of taking the place of the others.

use std::cell::Cell;

use futures::Stream;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::common::server_side_http::{ServerSseMessage, SessionId};
use rmcp::transport::streamable_http_server::session::SessionManager;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError,
};
use tokio::sync::Mutex;

/// Sessions at a time. Half of the agents that the daemon remembers: it has others on stdio.
pub(super) const MOST: usize = 16;

tokio::task_local! {
    /// Was the session that this request wanted one too many?
    static REFUSED: Cell<bool>;
}

/// The sessions of `mhost mcp --http`.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    all: LocalSessionManager,
    /// One after the other: each counts those before it.
    opening: Mutex<()>,
}

/// Why there is no such session.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error("{MOST} agents are connected already")]
    Full,
    #[error(transparent)]
    Session(#[from] LocalSessionManagerError),
}

/// Serves a request, and says whether it wanted a session where there was no room for one. The
/// protocol's own answer to that is "internal error".
pub(super) async fn with_refusal<T>(served: impl Future<Output = T>) -> (T, bool) {
    let noticed = async {
        let answer = served.await;
        (answer, REFUSED.with(Cell::get))
    };
    REFUSED.scope(Cell::new(false), noticed).await
}

impl SessionManager for Sessions {
    type Error = SessionError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), SessionError> {
        let _opening = self.opening.lock().await;
        if self.all.sessions.read().await.len() >= MOST {
            // Fails outside of `with_refusal`, where nobody asks.
            let _ = REFUSED.try_with(|refused| refused.set(true));
            return Err(SessionError::Full);
        }
        Ok(self.all.create_session().await?)
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, SessionError> {
        Ok(self.all.initialize_session(id, message).await?)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, SessionError> {
        Ok(self.all.has_session(id).await?)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), SessionError> {
        Ok(self.all.close_session(id).await?)
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        Ok(self.all.create_stream(id, message).await?)
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), SessionError> {
        Ok(self.all.accept_message(id, message).await?)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        Ok(self.all.create_standalone_stream(id).await?)
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        Ok(self.all.resume(id, last_event_id).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_are_so_many_sessions_and_room_again_when_one_ends() {
        let sessions = Sessions::default();
        let mut open = Vec::new();
        for _ in 0..MOST {
            open.push(sessions.create_session().await.unwrap());
        }
        let (one_more, refused) = with_refusal(sessions.create_session()).await;
        assert!(matches!(one_more, Err(SessionError::Full)) && refused);
        let (id, _transport) = open.pop().unwrap();
        sessions.close_session(&id).await.unwrap();
        let (room, refused) = with_refusal(sessions.create_session()).await;
        assert!(room.is_ok() && !refused);
    }
}
