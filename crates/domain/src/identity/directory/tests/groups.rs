//! Groups: what they give, and who may put whom into them.

use super::*;
use crate::identity::{CreateSignInPolicy, PolicyTerms};

#[tokio::test]
async fn a_group_gives_its_roles_through_other_groups_and_takes_them_back_at_once() {
    let office = Office::new().await;
    let [outer, inner] = [office.group("outer").await, office.group("inner").await];
    let ann = office.user("ann").await;
    office.grant(outer, READER, &somewhere()).await.unwrap();
    office.do_it(AddGroupMember { group: outer, member: inner }).await;
    assert!(!office.may_read(ann));
    office.do_it(AddGroupMember { group: inner, member: ann }).await;
    assert!(office.may_read(ann));
    // A cycle is harmless.
    office.do_it(AddGroupMember { group: inner, member: outer }).await;
    assert!(office.may_read(ann));
    let names = |page: Page<DirectoryObject>| {
        let mut names: Vec<_> = page.entries.into_iter().map(|object| object.name).collect();
        names.sort();
        names
    };
    let members = |group, is_transitive| ListGroupMembers { group, is_transitive, listing: Listing::default() };
    assert_eq!(names(office.do_it(members(outer, false)).await), ["inner"]);
    assert_eq!(names(office.do_it(members(outer, true)).await), ["ann the tested", "inner"]);
    let above = |is_transitive| ListMemberOf { member: ann, is_transitive, listing: Listing::default() };
    assert_eq!(names(office.do_it(above(false)).await), ["inner"]);
    assert_eq!(names(office.do_it(above(true)).await), ["inner", "outer"]);

    office.do_it(RemoveGroupMember { group: outer, member: inner }).await;
    assert!(!office.may_read(ann));
    office.do_it(AddGroupMember { group: outer, member: inner }).await;
    office.do_it(DeleteGroup { group: outer }).await;
    assert!(!office.may_read(ann));
    assert_eq!(names(office.do_it(above(true)).await), ["inner"]);
}

#[tokio::test]
async fn whoever_cannot_grant_what_a_group_holds_cannot_put_anybody_into_it() {
    let office = Office::new().await;
    let [outer, inner, plain] = [office.group("outer").await, office.group("inner").await, office.group("plain").await];
    office.grant(outer, OWNER, &somewhere()).await.unwrap();
    office.do_it(AddGroupMember { group: outer, member: inner }).await;
    let own = office.clerk.principal().unwrap().id;
    let kinds = [
        office.refused(AddGroupMember { group: outer, member: own }).await,
        // What is held through another group counts as well.
        office.refused(AddGroupMember { group: inner, member: own }).await,
        office.refused(AddGroupMember { group: inner, member: plain }).await,
        office.refused(RemoveGroupMember { group: outer, member: inner }).await,
        office.refused(DeleteGroup { group: inner }).await,
    ];
    assert!(kinds.iter().all(|kind| matches!(kind, Kind::Denied | Kind::NotFound)), "{kinds:?}");
    // A group without roles is the administrator's to fill; and only an owner makes it one with roles.
    office.ask(&office.clerk, AddGroupMember { group: plain, member: own }).await.unwrap();
    assert!(!office.may_read(own));
    office.ask(&office.clerk, RemoveGroupMember { group: plain, member: own }).await.unwrap();
    office.ask(&office.clerk, DeleteGroup { group: plain }).await.unwrap();
    // A password of somebody whose role comes through a group is no way to it either.
    let ann = office.user("ann").await;
    office.do_it(AddGroupMember { group: inner, member: ann }).await;
    let kind = office.refused(ResetPassword { user: id(ann), password: chosen(PASSWORD) }).await;
    assert!(matches!(kind, Kind::Denied | Kind::NotFound));
}

#[tokio::test]
async fn a_group_that_a_policy_names_is_filled_by_who_may_change_the_policy() {
    let office = Office::new().await;
    let [exempt, inner] = [office.group("exempt").await, office.group("inner").await];
    office.do_it(AddGroupMember { group: exempt, member: inner }).await;
    let own = office.clerk.principal().unwrap().id;
    office.ask(&office.clerk, AddGroupMember { group: inner, member: own }).await.unwrap();
    office.ask(&office.clerk, RemoveGroupMember { group: inner, member: own }).await.unwrap();
    let terms = PolicyTerms {
        name: String::from("everybody but a few"),
        is_enabled: true,
        everyone: true,
        except: vec![exempt],
        ..PolicyTerms::default()
    };
    office.do_it(CreateSignInPolicy { terms }).await;
    let kinds = [
        office.refused(AddGroupMember { group: exempt, member: own }).await,
        office.refused(AddGroupMember { group: inner, member: own }).await,
        office.refused(DeleteGroup { group: exempt }).await,
    ];
    assert!(kinds.iter().all(|kind| matches!(kind, Kind::Denied | Kind::NotFound)), "{kinds:?}");
    office.do_it(AddGroupMember { group: inner, member: own }).await;
}

#[tokio::test]
async fn what_cannot_belong_is_refused() {
    let office = Office::new().await;
    let group = office.group("team").await;
    let ann = office.user("ann").await;
    office.do_it(AddGroupMember { group, member: ann }).await;
    let cases = [
        (AddGroupMember { group, member: ann }, Kind::Exists),
        (AddGroupMember { group, member: group }, Kind::Conflict),
        (AddGroupMember { group, member: PrincipalId::random() }, Kind::Invalid),
        (AddGroupMember { group: ann, member: group }, Kind::NotFound),
        (AddGroupMember { group: PrincipalId::random(), member: ann }, Kind::NotFound),
    ];
    for (op, kind) in cases {
        let said = format!("{op:?}");
        assert_eq!(office.ask(&office.admin, op).await.unwrap_err().kind(), kind, "{said}");
    }
    let gone = office.ask(&office.admin, RemoveGroupMember { group, member: office.user("bob").await }).await;
    assert_eq!(gone.unwrap_err().kind(), Kind::NotFound);
    let form = GroupForm { name: Some(String::from("a\u{202e}b")), ..GroupForm::default() };
    assert_eq!(office.ask(&office.admin, CreateGroup { form }).await.unwrap_err().kind(), Kind::Invalid);
    assert_eq!(office.ask(&office.admin, GetUser { user: id(group) }).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(office.ask(&office.admin, GetGroup { group: ann }).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn any_ids_are_told_apart() {
    let office = Office::new().await;
    let (ann, group) = (office.user("ann").await, office.group("team").await);
    let ids = vec![ann, group, PrincipalId::random()];
    let found = office.do_it(GetDirectoryObjects { ids: ids.clone(), kinds: Vec::new() }).await;
    assert_eq!(found.iter().map(|object| object.kind).collect::<Vec<_>>(), [PrincipalKind::User, PrincipalKind::Group]);
    let groups = office.do_it(GetDirectoryObjects { ids, kinds: vec![PrincipalKind::Group] }).await;
    assert_eq!(groups.len(), 1);
    let many = GetDirectoryObjects { ids: vec![ann; 1001], kinds: Vec::new() };
    assert_eq!(office.ask(&office.admin, many).await.unwrap_err().kind(), Kind::Invalid);
}
