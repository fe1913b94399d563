//! The streams' three families of traits, on one dialogue.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a test: what is not as written here must fail

use director_sdk::testing::{Leftover, World};
use director_sdk::{
    Client, ConfigMistake, Director, Failure, Host, Kind, Links, Load, NodeStream, Protocol,
    async_trait,
};

struct Echo;

#[async_trait]
impl Protocol for Echo {
    type Config = serde_json::Value;
    const NAME: &'static str = "echo";
    const LINKS: Links = Links::Exclusive;

    fn create(_: serde_json::Value, _: Host) -> Result<Self, Vec<ConfigMistake>> {
        Ok(Self)
    }

    async fn serve(&self, client: Client, _: Director) -> Result<(), Failure> {
        assert!(client.peer.starts_with("127.0.0.1:"), "{}", client.peer);
        assert!(client.session > 0);
        let mut stream = client.stream;
        let mut eight = [0; 8];
        stream.read_exact(&mut eight).await?;
        stream.write_all(&eight).await?;
        {
            use futures_util::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
            let mut line = String::new();
            AsyncBufReadExt::read_line(&mut stream, &mut line).await?;
            AsyncWriteExt::write_all(&mut stream, line.as_bytes()).await?;
            AsyncReadExt::read_exact(&mut stream, &mut eight).await?;
            AsyncWriteExt::write_all(&mut stream, &eight).await?;
            AsyncWriteExt::flush(&mut stream).await?;
        }
        {
            use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
            let mut line = String::new();
            AsyncBufReadExt::read_line(&mut stream, &mut line).await?;
            AsyncWriteExt::write_all(&mut stream, line.as_bytes()).await?;
            AsyncReadExt::read_exact(&mut stream, &mut eight).await?;
            let parts = [
                std::io::IoSlice::new(&eight[..3]),
                std::io::IoSlice::new(&eight[3..]),
            ];
            let n = AsyncWriteExt::write_vectored(&mut stream, &parts).await?;
            AsyncWriteExt::write_all(&mut stream, &eight[n..]).await?;
        }
        // What was seen and left is there for whoever reads next.
        let seen = stream.fill().await?.to_vec();
        assert!(!seen.is_empty());
        stream.consume(1);
        let mut rest = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await?;
        stream.write_all(&[&seen[..1], &rest].concat()).await?;
        let info = stream.info();
        assert_eq!((info.received, info.accepted), (42, 42));
        tokio::io::AsyncWriteExt::shutdown(&mut stream).await?;
        match stream.write_all(b"more").await {
            Err(_) => Ok(()),
            Ok(()) => Err(Failure::new(Kind::Fault, "wrote behind the end")),
        }
    }

    async fn probe(&self, _: &mut NodeStream) -> Result<Load, Failure> {
        Ok(Load::UNKNOWN)
    }
}

#[test]
fn every_family_of_traits_reads_and_writes_the_same_stream() {
    for (room, piece) in [(1, 1), (5, 3), (1 << 14, 1 << 14)] {
        let world = World::seeded(1);
        world.buffers(room, piece);
        world.start::<Echo>("null").unwrap();
        let said = b"12345678line\nabcdefghline\nABCDEFGHthe rest";
        let heard = world.run(async {
            let mut client = world.connect();
            let (mut reader, mut writer) = client.split();
            let (heard, ()) = futures_util::join!(reader.read_to_end(), async {
                writer.write_all(said).await.unwrap();
                writer.close();
            });
            heard.unwrap()
        });
        assert_eq!(
            String::from_utf8_lossy(&heard),
            String::from_utf8_lossy(said)
        );
        assert_eq!(world.ended()[0].kind, None, "{}", world.story());
        assert_eq!(world.finish(), Leftover::default());
    }
}
