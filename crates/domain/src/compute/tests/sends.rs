//! What becomes of snapshots.

use kernel::Kind;

use super::stand::{Stand, file, whole};
use crate::snapshots::{GetCode, GetSnapshotFile, ListMissingFiles, MissingFile, NewCode, PutCode};

async fn missing(stand: &Stand, contents: &[&[u8]]) -> usize {
    let files = contents.iter().map(|content| file("x", content));
    let files = files.map(|file| MissingFile { sha256: file.sha256, length: file.length }).collect();
    stand.ask(ListMissingFiles { workspace: stand.workspace.clone(), files }).await.unwrap().len()
}

#[tokio::test]
async fn a_tree_comes_back_and_unchanged_files_are_not_missing_again() {
    let stand = Stand::new().await;
    let files: [(&str, &[u8]); 4] = [("a.py", b"1"), ("b/c", b"22"), ("b/same", b"1"), ("b/empty", b"")];
    assert_eq!(missing(&stand, &[b"1", b"22", b"1", b""]).await, 3);
    let (id, snapshot) = stand.put_code("c", &files).await.unwrap();
    assert_eq!(missing(&stand, &[b"1", b"22", b"", b"new"]).await, 1);
    let code = stand.ask(GetCode { id: id.clone() }).await.unwrap();
    assert_eq!(code.files.len(), 4);
    for (path, content) in files {
        let sha256 = code.files.iter().find(|file| file.path == path).unwrap().sha256.clone();
        let (stream, length) = stand.ask(GetSnapshotFile { workspace: stand.workspace.clone(), sha256 }).await.unwrap();
        assert_eq!((whole(stream).await, length), (content.to_vec(), u64::try_from(content.len()).unwrap()));
    }
    // The same tree has the same id under any name; the same name takes no other tree.
    assert_eq!(stand.put_code("d", &files).await.unwrap().1, snapshot);
    assert_eq!(stand.put_code("c", &files).await.unwrap().1, snapshot);
    let other: [(&str, &[u8]); 1] = [("a.py", b"2")];
    assert_eq!(stand.put_code("c", &other).await.unwrap_err().kind(), Kind::Conflict);
}

#[tokio::test]
async fn a_pack_with_one_wrong_content_leaves_nothing() {
    let stand = Stand::new().await;
    let mut pack = Vec::new();
    for (named, sent) in [(b"good", b"good"), (b"evil", b"Evil")] {
        pack.extend_from_slice(&seal::Sha256::of(named));
        pack.extend_from_slice(&4_u64.to_be_bytes());
        pack.extend_from_slice(sent);
    }
    let put = crate::snapshots::PutPack { workspace: stand.workspace.clone(), body: super::stand::body(pack) };
    let fault = stand.ask(put).await.unwrap_err();
    assert_eq!(fault.kind(), Kind::Invalid);
    assert!(fault.public().contains(&seal::sha256_hex(b"evil")), "{fault}");
    assert_eq!(missing(&stand, &[b"good", b"evil"]).await, 2);
}

#[tokio::test]
async fn a_code_needs_its_contents_and_changes_at_most_2000_files() {
    let stand = Stand::new().await;
    let put = async |name: &str, files: Vec<crate::snapshots::SnapshotFile>, parent: Option<String>| {
        let id = stand.child(&["codes", name, "versions", "1"]);
        stand.ask(PutCode { id, code: NewCode { files, parent, ..NewCode::default() } }).await
    };
    assert_eq!(put("a", vec![file("x", b"unsent")], None).await.unwrap_err().kind(), Kind::Invalid);
    stand.send_pack(&[b"sent"]).await.unwrap();
    let mut wrong = file("x", b"sent");
    wrong.length = 3;
    assert_eq!(put("a", vec![wrong], None).await.unwrap_err().kind(), Kind::Invalid);
    let many = |count: usize| (0..count).map(|at| file(&format!("f{at}"), b"sent")).collect::<Vec<_>>();
    assert_eq!(put("a", many(2001), None).await.unwrap_err().kind(), Kind::Invalid);
    let first = put("a", many(2000), None).await.unwrap().row.value.properties.snapshot;
    put("b", many(4000), Some(first.clone())).await.unwrap();
    assert_eq!(put("c", many(4001), Some(first)).await.unwrap_err().kind(), Kind::Invalid);
    assert!(put("c", many(1), Some(String::from("none"))).await.is_err());
}
