//! Does what a process looks like say how it does? One that comes up, or whose probe has not
//! answered yet, looks well whatever ails it.

use supervisor::{HealthStatus, ProcessName, RegistryHandle, Status};

/// Is there a copy of which nobody knows yet how it does?
pub(crate) fn is_wanting(registry: &RegistryHandle, name: &ProcessName) -> bool {
    let Some(glance) = registry.glance(name) else {
        return false;
    };
    let mut copies = glance.view.instances.iter();
    copies.any(|one| lacks_proof(one.state, one.health))
}

fn lacks_proof(state: Status, health: HealthStatus) -> bool {
    match state {
        Status::Starting | Status::Stopping => true,
        Status::Online => health == HealthStatus::Pending,
        Status::Stopped | Status::Errored => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_that_has_not_answered_proves_nothing() {
        assert!(lacks_proof(Status::Starting, HealthStatus::Off));
        assert!(lacks_proof(Status::Online, HealthStatus::Pending));
        assert!(!lacks_proof(Status::Online, HealthStatus::Pass));
        assert!(!lacks_proof(Status::Online, HealthStatus::Fail));
        assert!(!lacks_proof(Status::Errored, HealthStatus::Pending));
    }
}
