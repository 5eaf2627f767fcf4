//! HTTP as plain as it comes: no client tidies a request up.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// A connection, kept open between requests.
pub struct Connection {
    address: String,
    /// What requests call the server.
    host: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    pub fn new(address: &str) -> Self {
        Self::calling(address, "localhost")
    }

    /// As [`new`](Self::new), whose requests call the server by another name.
    pub fn calling(address: &str, host: &str) -> Self {
        Self { address: address.into(), host: host.into(), stream: None }
    }

    /// Sends a request as it is written here; an error is a connection that broke, after which the next one is new.
    pub fn send(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> io::Result<Answer> {
        let length = format!("Content-Length: {}\r\n{headers}", body.len());
        let answer = self.begin(method, path, &length, body).and_then(|()| self.answer());
        if answer.is_err() {
            self.stream = None;
        }
        answer
    }

    /// Sends the beginning of a request; more may follow through [`stream`](Self::stream).
    pub fn begin(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> io::Result<()> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(&self.address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
            self.stream = Some(BufReader::new(stream));
        }
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", self.host).into_bytes();
        request.extend_from_slice(body);
        self.stream().get_mut().write_all(&request)
    }

    /// What a request was sent on.
    pub fn stream(&mut self) -> &mut BufReader<TcpStream> {
        self.stream.as_mut().expect("a request was sent")
    }

    /// The answer to a request that was sent.
    pub fn answer(&mut self) -> io::Result<Answer> {
        let (status, headers) = self.head()?;
        let mut body = Vec::new();
        if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            while let Some(chunk) = self.chunk()? {
                body.extend(chunk);
            }
        } else {
            body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
            self.stream().read_exact(&mut body)?;
        }
        if headers.get("connection").is_some_and(|value| value == "close") {
            self.stream = None;
        }
        Ok(Answer { status, headers, body })
    }

    /// Status and headers of an answer, whose body follows.
    pub fn head(&mut self) -> io::Result<(u16, BTreeMap<String, String>)> {
        let status = self.line()?.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = BTreeMap::new();
        while let Some((name, value)) = self.line()?.split_once(": ") {
            headers.insert(name.to_lowercase(), value.to_owned());
        }
        Ok((status, headers))
    }

    /// The next part of a body that comes in parts; `None` at its end.
    pub fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let size = self.line()?;
        let size = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; size];
        self.stream().read_exact(&mut chunk)?;
        self.line()?;
        Ok((size > 0).then_some(chunk))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream().read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}
