//! Asks a running network for keys with two Rust clients, and collects them at the other end:
//! `rust-clients PORT_OF_A PORT_OF_B STATE`.

use etsi014::{ApiErrorKind, Endpoint, KeyId, KeyIdRequest, KeyRequest};
use etsi014_client::ETSI014Client;
use std::env::args;
use std::error::Error;
use std::path::PathBuf;

/// Where the key managers are, and the identities.
struct Place {
    ports: [u16; 2],
    pki: PathBuf,
}

impl Place {
    fn authority(&self) -> PathBuf {
        self.pki.join("key-managers/ca.pem")
    }
    fn certificate(&self, sae: &str) -> PathBuf {
        self.pki.join(format!("applications/{sae}.pem"))
    }
    fn key(&self, sae: &str) -> PathBuf {
        self.pki.join(format!("applications/{sae}.key.pem"))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let given: Vec<String> = args().skip(1).collect();
    let [a, b, state] = given.as_slice() else {
        return Err("usage: rust-clients PORT_OF_A PORT_OF_B STATE".into());
    };
    let place = Place { ports: [a.parse()?, b.parse()?], pki: PathBuf::from(state).join("pki") };
    qojena(&place).await?;
    println!("etsi014: 5 keys equal at both ends, refusals understood");
    tue(&place).await?;
    println!("etsi014-client: 3 keys equal at both ends");
    Ok(())
}

/// `etsi014` sends `null` for what it does not want, and sorts refusals by the standard's texts.
async fn qojena(place: &Place) -> Result<(), Box<dyn Error>> {
    let endpoint = |port: u16, sae: &str| {
        Endpoint::builder(format!("https://127.0.0.1:{port}"))
            .root_ca_file(place.authority())
            .identity_files(place.certificate(sae), place.key(sae))
            .build()
    };
    let (master, slave) = (endpoint(place.ports[0], "bank-a")?, endpoint(place.ports[1], "bank-b")?);
    let stranger = endpoint(place.ports[1], "stranger")?;
    let status = master.status("bank-b").await?;
    assert_eq!((status.source_KME_ID.as_str(), status.target_KME_ID.as_str()), ("A", "B"));
    for wish in [KeyRequest::new(Some(4), Some(512)), KeyRequest::new(None, None)] {
        let issued = master.get_key("bank-b", &wish).await?;
        assert_eq!(issued.keys.len(), wish.number.unwrap_or(1) as usize);
        let ids = issued.keys.iter().map(|key| KeyId { key_ID: key.key_ID.clone() }).collect();
        let ids = KeyIdRequest::new(ids);
        let refused = stranger.get_key_with_id("bank-a", &ids).await.expect_err("not its keys");
        assert_eq!(refused.kind(), Some(ApiErrorKind::Unauthorized), "{refused}");
        let collected = slave.get_key_with_id("bank-a", &ids).await?;
        assert_eq!(collected.keys.len(), issued.keys.len());
        for (here, there) in issued.keys.iter().zip(&collected.keys) {
            assert!(here.key_ID == there.key_ID && here.key == there.key);
        }
        let gone = slave.get_key_with_id("bank-a", &ids).await.expect_err("collected once");
        assert_eq!(gone.kind(), Some(ApiErrorKind::KeysNotFound), "{gone}");
    }
    let refused = master.get_key("bank-b", &KeyRequest::new(Some(1), Some(257))).await;
    let refused = refused.expect_err("no multiple of 8");
    assert_eq!(refused.kind(), Some(ApiErrorKind::SizeNotMultipleOf8), "{refused}");
    Ok(())
}

/// `etsi014-client` speaks TLS with OpenSSL, and its enc_keys carry a member that the standard does not name.
async fn tue(place: &Place) -> Result<(), Box<dyn Error>> {
    let client = |port: u16, sae: &str| {
        ETSI014Client::new("127.0.0.1", port, &place.certificate(sae), &place.key(sae), &place.authority())
    };
    let (master, slave) = (client(place.ports[0], "bank-a")?, client(place.ports[1], "bank-b")?);
    assert_eq!(master.get_status("bank-b").await?.key_size, 256);
    let issued = master.get_keys(256, "bank-b", &[], 3).await?;
    let ids: Vec<&str> = issued.iter().map(|(id, _)| id.as_str()).collect();
    let collected = slave.get_keys_by_ids("bank-a", &ids).await?;
    assert_eq!((issued.len(), collected.len()), (3, 3));
    for ((id, here), (other, there)) in issued.iter().zip(&collected) {
        assert!(id == other && *here.borrow() == *there.borrow());
    }
    Ok(())
}
