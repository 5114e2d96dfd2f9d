//! The JSON body of a request, parsed into its type while its bytes are let go of.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, mpsc};

use bytes::{Buf as _, Bytes};
use futures::TryStreamExt as _;
use poem::{Request, RequestBody, Result};
use poem_openapi::error::ParseRequestPayloadError;
use poem_openapi::payload::{Json, ParsePayload, Payload};
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::{ParseFromJSON, Type};

use super::problem::refuse;
use super::request_schema::{BodyError, RequestSchemas};
use crate::error::Error;

/// Bytes of a text in a body that is larger than one block; the parser has each text in memory once more.
const MAX_TEXT: usize = 1 << 20;

/// A JSON body. To the OpenAPI document and to clients it is what [`Json`] is; that one would make a
/// tree of all that comes, which can take 100 times the memory of the body.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: Type> Payload for JsonBody<T> {
    const CONTENT_TYPE: &'static str = Json::<T>::CONTENT_TYPE;

    fn check_content_type(content_type: &str) -> bool {
        Json::<T>::check_content_type(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: ParseFromJSON + 'static> ParsePayload for JsonBody<T> {
    const IS_REQUIRED: bool = T::IS_REQUIRED;

    async fn from_request(request: &Request, body: &mut RequestBody) -> Result<Self> {
        let schemas: Arc<RequestSchemas> = request
            .data()
            .cloned()
            .ok_or_else(|| refuse(Error::internal("a request without schemas")))?;
        // Read already, within its bounds.
        let blocks = body.take()?.into_bytes_stream().try_collect().await;
        let blocks: VecDeque<Bytes> = blocks.map_err(|error| refuse(Error::malformed(error.to_string())))?;
        let parsed = match blocks.len() {
            0 | 1 => parse(&schemas, blocks),
            _ => on_parser_thread(move || parse(&schemas, blocks))
                .await
                .map_err(|error| refuse(Error::internal(error)))?,
        };
        match parsed {
            Ok(body) => Ok(Self(body)),
            Err(BodyError::Wrong(wrong)) => Err(refuse(wrong)),
            Err(BodyError::Malformed(reason)) => Err(ParseRequestPayloadError { reason }.into()),
        }
    }
}

poem_openapi::impl_apirequest_for_payload!(JsonBody<T>, T: ParseFromJSON + 'static);

/// Parses bodies of more than one block, one at a time. The allocator keeps what a thread has freed for that thread,
/// so a body on every thread of a pool would cost memory on each of them.
static PARSER: LazyLock<mpsc::Sender<Box<dyn FnOnce() + Send>>> = LazyLock::new(|| {
    let (sender, jobs) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
    std::thread::spawn(move || {
        for job in jobs {
            // Whoever waits for it hears that it gave no answer.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    });
    sender
});

fn on_parser_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> tokio::sync::oneshot::Receiver<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let job = Box::new(move || drop(sender.send(work())));
    // If that thread has ended, the receiver says so.
    let _ = PARSER.send(job);
    receiver
}

fn parse<T: ParseFromJSON>(schemas: &RequestSchemas, mut blocks: VecDeque<Bytes>) -> Result<T, BodyError> {
    let name = T::name();
    let value = match blocks.len() {
        0 | 1 => {
            let body = blocks.pop_front().unwrap_or_default();
            schemas.parse(&name, serde_json::Deserializer::from_slice(&body))?
        }
        _ => schemas.parse(&name, serde_json::Deserializer::from_reader(Blocks::new(blocks)))?,
    };
    T::parse_from_json(Some(value)).map_err(|error| BodyError::Malformed(error.into_message()))
}

/// Reads the blocks of a body, lets go of each that has been read, and ends where a text is too long.
struct Blocks {
    blocks: VecDeque<Bytes>,
    in_text: bool,
    escaped: bool,
    text: usize,
}

impl Blocks {
    const fn new(blocks: VecDeque<Bytes>) -> Self {
        Self {
            blocks,
            in_text: false,
            escaped: false,
            text: 0,
        }
    }

    fn count(&mut self, byte: u8) -> io::Result<()> {
        match (self.in_text, self.escaped, byte) {
            (true, true, _) => self.escaped = false,
            (true, false, b'\\') => self.escaped = true,
            (_, false, b'"') => (self.in_text, self.text) = (!self.in_text, 0),
            _ => {}
        }
        self.text += usize::from(self.in_text);
        if self.text > MAX_TEXT {
            return Err(io::Error::other(format!("a text has more than {MAX_TEXT} bytes")));
        }
        Ok(())
    }
}

impl Read for Blocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.blocks.front().is_some_and(Bytes::is_empty) {
            self.blocks.pop_front();
        }
        let Some(block) = self.blocks.front_mut() else {
            return Ok(0);
        };
        let read = buffer.len().min(block.len());
        block.copy_to_slice(&mut buffer[..read]);
        for byte in &buffer[..read] {
            self.count(*byte)?;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

    use super::*;

    fn read(text: &str) -> io::Result<String> {
        let blocks = text.as_bytes().chunks(7).map(Bytes::copy_from_slice).collect();
        let mut read = String::new();
        Blocks::new(blocks).read_to_string(&mut read).map(|_| read)
    }

    #[test]
    fn blocks_are_read_in_their_order_until_a_text_is_too_long() {
        let text = r#"{"a\"": "b\\", "c": ["#.to_owned() + &"\"1234567\", ".repeat(MAX_TEXT / 5) + "5]}";
        assert_eq!(read(&text).unwrap(), text);
        assert_eq!(read("").unwrap(), "");
        for long in ["x", "\\\"", "\\\\"] {
            let long = format!("[\"{}\"]", long.repeat(MAX_TEXT + 1));
            assert!(read(&long).is_err());
        }
    }
}
