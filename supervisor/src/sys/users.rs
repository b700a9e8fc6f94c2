//! Users and groups, from `/etc/passwd` and `/etc/group`.
//!
//! Only asked when a process is to run as somebody else. Name services beyond the two files
//! are not consulted: a number works for everybody they know.

use std::io;
use std::path::Path;

use super::spawn::plain;
use crate::launch::SpawnError;

/// Whom a child becomes before exec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// User to become, if it changes.
    pub(super) uid: Option<u32>,
    /// Group to become, if it changes.
    pub(super) gid: Option<u32>,
    /// Supplementary groups to have, if they change.
    pub(super) groups: Option<Vec<u32>>,
    /// As written by the user, for errors.
    pub(super) who: String,
}

/// Looks up what `user` and `group` mean. `None` when neither is asked for.
pub(super) fn identity(
    user: Option<&str>,
    group: Option<&str>,
) -> Result<Option<Identity>, SpawnError> {
    identity_in(Path::new("/etc"), user, group)
}

fn identity_in(
    etc: &Path,
    user: Option<&str>,
    group: Option<&str>,
) -> Result<Option<Identity>, SpawnError> {
    let unknown = |who: &str, error: &str| SpawnError::Identity {
        who: who.to_owned(),
        error: error.to_owned(),
    };
    if user.is_none() && group.is_none() {
        return Ok(None);
    }
    // A file that is there and cannot be read does not mean that nobody is in it: the program
    // would keep groups that are not its user's.
    let read = |name: &str| match std::fs::read_to_string(etc.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let who = user.or(group).unwrap_or_default();
            let path = etc.join(name);
            let why = format!("{} cannot be read: {}", path.display(), plain(&error));
            Err(unknown(who, &why))
        }
        read => Ok(read.unwrap_or_default()),
    };
    let groups_file = read("group")?;
    let group_id = group
        .map(|name| find_group(&groups_file, name).ok_or_else(|| unknown(name, "no such group")))
        .transpose()?;
    let Some(name) = user else {
        return Ok(Some(Identity {
            uid: None,
            gid: group_id,
            groups: None,
            who: group.unwrap_or_default().to_owned(),
        }));
    };
    let found = find_user(&read("passwd")?, name).ok_or_else(|| unknown(name, "no such user"))?;
    let gid = group_id.or(found.gid);
    let mut groups = members(&groups_file, &found.name);
    groups.extend(gid);
    groups.sort_unstable();
    groups.dedup();
    Ok(Some(Identity {
        uid: Some(found.uid),
        gid,
        groups: Some(groups),
        who: name.to_owned(),
    }))
}

struct User {
    name: String,
    uid: u32,
    gid: Option<u32>,
}

fn find_user(passwd: &str, name: &str) -> Option<User> {
    let number: Option<u32> = name.parse().ok();
    let read = |line: &str| {
        let mut fields = line.split(':');
        let entry = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(User {
            name: entry.to_owned(),
            uid,
            gid: Some(gid),
        })
    };
    let mut users = passwd.lines().filter_map(read);
    users
        .find(|user| user.name == name || Some(user.uid) == number)
        .or_else(|| {
            number.map(|uid| User {
                name: String::new(),
                uid,
                gid: None,
            })
        })
}

fn find_group(file: &str, name: &str) -> Option<u32> {
    let by_name = file.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    });
    by_name.or_else(|| name.parse().ok())
}

fn members(file: &str, user: &str) -> Vec<u32> {
    let of_line = |line: &str| {
        let mut fields = line.split(':').skip(2);
        let gid = fields.next()?.parse().ok()?;
        let listed = fields.next()?.split(',').any(|member| member == user);
        (listed && !user.is_empty()).then_some(gid)
    };
    file.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program must not keep the groups of the daemon because a file could not be read.
    #[test]
    fn a_file_that_cannot_be_read_is_not_taken_for_empty() {
        let etc = tempfile::tempdir().expect("temp folder");
        std::fs::write(etc.path().join("passwd"), "www:x:33:34::/:/bin/false\n").expect("writes");
        assert!(
            identity_in(etc.path(), Some("www"), None).is_ok(),
            "no file is no group"
        );
        // Nobody, not even root, reads a folder.
        std::fs::create_dir(etc.path().join("group")).expect("makes");
        let error = identity_in(etc.path(), Some("www"), None).expect_err("is refused");
        let text = error.to_string();
        assert!(
            text.contains("cannot run as `www`") && text.contains("cannot be read"),
            "{text}"
        );
    }

    #[test]
    fn names_and_numbers_are_found() {
        let etc = tempfile::tempdir().expect("temp folder");
        let write = |name: &str, text: &str| {
            std::fs::write(etc.path().join(name), text).expect("writes");
        };
        write(
            "passwd",
            "root:x:0:0::/root:/bin/sh\nwww:x:33:34:w:/srv:/bin/false\n",
        );
        write(
            "group",
            "root:x:0:\nwww:x:34:\nssl:x:110:a,www\nlogs:x:7:b\n",
        );
        let ask = |user, group| identity_in(etc.path(), user, group);
        let www = ask(Some("www"), None).expect("known").expect("asked");
        assert_eq!((www.uid, www.gid), (Some(33), Some(34)));
        assert_eq!(www.groups, Some(vec![34, 110]));
        assert_eq!(
            ask(Some("33"), None).map(|i| i.and_then(|i| i.gid)),
            Ok(Some(34))
        );
        assert_eq!(
            ask(Some("5000"), None).map(|i| i.and_then(|i| i.gid)),
            Ok(None)
        );
        assert_eq!(ask(None, None), Ok(None));
        let error = ask(Some("nobody-here"), None).expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "cannot run as `nobody-here`: no such user"
        );
        let error = ask(Some("www"), Some("nogroup-here")).expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "cannot run as `nogroup-here`: no such group"
        );
    }
}
