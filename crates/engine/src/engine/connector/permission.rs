//! Who may open a socket: turns "permission denied" into what to do about it.

use std::path::Path;

/// The hint for a socket this user may not open. `user` is the login name, where known.
pub(crate) fn hint(socket: &Path, user: Option<&str>) -> String {
    use std::os::unix::fs::MetadataExt as _;
    const GROUP_WRITE: u32 = 0o020;

    let Ok(meta) = fs_err::metadata(socket) else {
        return "a folder on the way to the socket is closed to this user".to_owned();
    };
    let groups = fs_err::read_to_string("/etc/group").unwrap_or_default();
    if meta.gid() == 0 || meta.mode() & GROUP_WRITE == 0 {
        return "only the socket's owner may use it: run as that user, or let the engine give the socket to group docker"
            .to_owned();
    }
    membership_hint(&groups, meta.gid(), user)
}

/// `groups` is the text of /etc/group.
fn membership_hint(groups: &str, gid: u32, user: Option<&str>) -> String {
    let gid = gid.to_string();
    let group = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, id, members) =
            (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        (id == gid).then_some((name, members))
    });
    let Some((name, members)) = group else {
        return format!(
            "the socket belongs to group {gid}, which has no name here: join it or use another engine"
        );
    };
    match user {
        Some(user) if members.split(',').any(|member| member.trim() == user) => {
            format!(
                "{user} is in group {name}, but not yet in this session: log in again, or run `newgrp {name}`"
            )
        }
        _ => format!(
            "add yourself to group {name}: sudo usermod -aG {name} $USER, then log in again"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUPS: &str = "root:x:0:\ndocker:x:998:ann,bob\n";

    #[test]
    fn names_the_group_to_join() {
        assert_eq!(
            membership_hint(GROUPS, 998, Some("eve")),
            "add yourself to group docker: sudo usermod -aG docker $USER, then log in again"
        );
    }

    #[test]
    fn a_member_only_has_to_log_in_again() {
        assert!(
            membership_hint(GROUPS, 998, Some("bob"))
                .starts_with("bob is in group docker, but not yet")
        );
    }

    #[test]
    fn a_group_without_a_name_is_told_by_number() {
        assert!(membership_hint(GROUPS, 4711, None).contains("group 4711"));
    }
}
