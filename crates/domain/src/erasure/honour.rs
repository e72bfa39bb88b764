//! Erasing again what an older backup brought back.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result};
use seal::CheckpointVerifier;

use super::{
    certificate::{Certificate, Verified},
    record::{DETAIL, StoredErasure},
};
use crate::{
    audit::signing_key,
    gate::{Changes, Cx, Op, Row},
    resources::erase_again,
};

/// What a certificate meant here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Honoured {
    /// The workspace was back, and is erased again.
    Erased(Verified),
    /// It was not there; that it was erased is known now.
    Absent(Verified),
    /// That was known already.
    Known(Verified),
}

/// Erases a workspace that a certificate of this very server says was erased: after an older backup, which holds its key still,
/// was restored. For the restore itself, before anybody is served.
#[derive(Debug)]
pub struct HonourErasure {
    /// The certificate.
    pub certificate: Certificate,
}

#[async_trait]
impl Op for HonourErasure {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/erasedWorkspaces/honour/action", Class::Control);
    type Output = Honoured;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Honoured> {
        let line = signing_key(cx).await?.public_line();
        let key = CheckpointVerifier::from_line(&line).ok_or_else(|| Error::internal("the log's own key"))?;
        let refused =
            |why: String| Error::new(Kind::Conflict, format!("a certificate of erasure is not honoured: {why}"));
        let verified = self.certificate.verify(&key).map_err(|fault| refused(fault.to_string()))?;
        let tenant = cx.house().tenant().map(|tenant| tenant.to_string()).unwrap_or_default();
        if verified.tenant != tenant {
            return Err(refused(String::from("it is of another tenant")));
        }
        let erasure = verified.erasure.clone();
        let guid = erasure.workspace_guid;
        if cx.get::<StoredErasure>(cx.system(), guid.as_bytes()).await?.is_some() {
            return Ok(Honoured::Known(verified));
        }
        let _turn = cx.house().assigning.lock().await;
        let mut changes = Changes::new();
        let was_there = erase_again(cx, guid, &mut changes).await?;
        cx.note("workspace", guid.to_string());
        cx.note(DETAIL, erasure.id.to_string());
        cx.note("wasThere", was_there.to_string());
        let stored = StoredErasure { erasure, after: 0, signed: Some(self.certificate.signed) };
        changes.put(cx.system(), &Row::new(guid.as_bytes().as_slice(), stored))?;
        cx.commit(changes).await?;
        Ok(if was_there { Honoured::Erased(verified) } else { Honoured::Absent(verified) })
    }
}
