//! What a request shows of who sends it, for [`crate::auth`].

use poem::Request;

use crate::auth::{Peer, Presented};

/// Headers, address and client certificate of a request.
pub(super) fn presented(request: &Request) -> Presented<'_> {
    Presented {
        headers: request.headers(),
        address: request.remote_addr().as_socket_addr().map(|address| address.ip()),
        certificate: request.data::<Peer>(),
    }
}
