//! The session's SSH service as a line between the step and this program.

use std::pin::Pin;

use bollard_buildkit_proto::moby::sshforward::v1::ssh_server::{Ssh, SshServer};
use bollard_buildkit_proto::moby::sshforward::v1::{
    BytesMessage, CheckAgentRequest, CheckAgentResponse,
};
use futures_util::Stream;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::connection::Connection;

/// Messages that may wait on each side. The engine sends them with up to 32 KiB.
const WAITING: usize = 16;
/// What the step hears when somebody has taken its connection.
const TAKEN: &[u8] = b"h";

pub(super) struct Lines {
    to: mpsc::Sender<Connection>,
    cancel: CancellationToken,
}

/// The service; each connection of the step goes `to` whoever serves it.
pub(super) fn server(to: mpsc::Sender<Connection>, cancel: CancellationToken) -> SshServer<Lines> {
    SshServer::new(Lines { to, cancel })
}

#[tonic::async_trait]
impl Ssh for Lines {
    async fn check_agent(
        &self,
        _: Request<CheckAgentRequest>,
    ) -> Result<Response<CheckAgentResponse>, Status> {
        Ok(Response::new(CheckAgentResponse {}))
    }

    type ForwardAgentStream = Pin<Box<dyn Stream<Item = Result<BytesMessage, Status>> + Send>>;

    async fn forward_agent(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::ForwardAgentStream>, Status> {
        let mut messages = request.into_inner();
        let (forward, incoming) = mpsc::channel(WAITING);
        let (outgoing, answers) = mpsc::channel(WAITING);
        let connection = Connection::new(incoming, outgoing);
        self.to.send(connection).await.map_err(|_| Status::unavailable("nobody waits for it"))?;
        let cancel = self.cancel.clone();
        // Ends with the stream, or when whoever reads has gone.
        tokio::spawn(async move {
            loop {
                let message = tokio::select! {
                    message = messages.next() => message,
                    () = cancel.cancelled() => break,
                };
                let Some(Ok(message)) = message else { break };
                if forward.send(message.data).await.is_err() {
                    break;
                }
            }
        });
        // The step waits for that and not much longer: the engine may keep a connection that it never gives to anybody.
        let taken = tokio_stream::once(TAKEN.to_vec());
        let answers = taken.chain(ReceiverStream::new(answers));
        Ok(Response::new(Box::pin(answers.map(|data| Ok(BytesMessage { data })))))
    }
}
