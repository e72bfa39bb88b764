//! Landlock on top of the mounts: the same allow-list once more, held by the kernel's own rules, and scopes.

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, NetPort, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, Scope, path_beneath_rules,
};

use super::spec::{Network, Spec};

/// What we know how to ask for; older kernels hold the part they know.
const KNOWN: ABI = ABI::V6;

/// Readable and executable, as far as the mount lets.
const SYSTEM: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
/// Readable only.
const READABLE: &[&str] = &["/etc", "/proc"];
/// Devices that can be written.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Restricts this process and all it starts.
pub fn restrict(spec: &Spec) -> Result<(), RulesetError> {
    let all = AccessFs::from_all(KNOWN);
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let run = read | AccessFs::Execute;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(KNOWN))?;
    match spec.network {
        Network::Nothing | Network::Door { .. } => rules = rules.handle_access(AccessNet::from_all(KNOWN))?,
        Network::Loopback { .. } => {}
    }
    let mut rules = rules
        .create()?
        .add_rules(path_beneath_rules(SYSTEM, run))?
        .add_rules(path_beneath_rules(READABLE, read))?
        .add_rules(path_beneath_rules(["/"], AccessFs::ReadDir))?
        .add_rules(path_beneath_rules(DEVICES, AccessFs::ReadFile | AccessFs::WriteFile))?;
    for bind in &spec.binds {
        let access = match (bind.writable, bind.executable) {
            (true, _) => all,
            (false, true) => run,
            (false, false) => read,
        };
        rules = rules.add_rules(path_beneath_rules([&bind.target], access))?;
    }
    if let Network::Door { port } = spec.network {
        rules = rules.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
    }
    rules.restrict_self().map(drop)
}
