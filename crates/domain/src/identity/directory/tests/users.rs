//! Users: what they are called, who may change them, and what ends with them.

use super::*;

#[tokio::test]
async fn a_user_name_is_one_user_s_however_it_is_spelled() {
    let office = Office::new().await;
    let ann = office.user("Ann@Example.com").await;
    for twin in ["ann@example.com", "ANN@EXAMPLE.COM"] {
        assert_eq!(office.ask(&office.admin, new_user(twin)).await.unwrap_err().kind(), Kind::Exists, "{twin}");
    }
    for named in ["ann@example.com", " ANN@example.COM ", &ann.to_string()] {
        let found = office.do_it(GetUser { user: named.parse().unwrap() }).await;
        assert_eq!((found.id, found.user_name.as_str()), (ann, "ann@example.com"), "{named}");
    }
    for bad in ["", "a b", "a@b@c", "6f9619ff-8b86-d011-b42d-00c04fc964ff", "ann#corp"] {
        assert_eq!(office.ask(&office.admin, new_user(bad)).await.unwrap_err().kind(), Kind::Invalid, "{bad:?}");
    }
    let missing = office.ask(&office.admin, GetUser { user: "nobody".parse().unwrap() }).await;
    assert_eq!(missing.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn lists_are_filtered_and_come_page_by_page() {
    let office = Office::new().await;
    for at in 0..5 {
        office.user(&format!("ann{at}")).await;
    }
    let mut listing = Listing { top: Some(2), ..Listing::default() };
    let filter = |field, test, text: &str| Filter { field, test, text: text.to_owned() };
    listing.filters = vec![filter(Field::UserName, Test::StartsWith, "ANN")];
    let mut names = Vec::new();
    loop {
        let page = office.do_it(ListUsers { listing: listing.clone() }).await;
        assert!(page.entries.len() <= 2);
        names.extend(page.entries.into_iter().map(|user| user.user_name));
        listing.after = page.next;
        if listing.after.is_none() {
            break;
        }
    }
    names.sort();
    assert_eq!(names, ["ann0", "ann1", "ann2", "ann3", "ann4"]);
    for (field, test, text, count) in [
        (Field::UserName, Test::Equals, "Ann3", 1),
        (Field::UserName, Test::Equals, "ann", 0),
        (Field::DisplayName, Test::Equals, "ann1 the tested", 1),
        (Field::DisplayName, Test::StartsWith, "ann", 5),
    ] {
        let listing = Listing { filters: vec![filter(field, test, text)], ..Listing::default() };
        assert_eq!(office.do_it(ListUsers { listing }).await.entries.len(), count, "{field:?} {test:?} {text}");
    }
    let listing = Listing { filters: vec![filter(Field::AppId, Test::Equals, "x")], ..Listing::default() };
    assert_eq!(office.ask(&office.admin, ListUsers { listing }).await.unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test]
async fn a_password_is_drawn_or_strong_and_is_somebody_else_s() {
    let office = Office::new().await;
    let drawn = CreateUser { password: NewPassword { password: None, must_change: true }, ..new_user("ann") };
    let made = office.do_it(drawn).await;
    assert!(made.user.must_change && made.password.unwrap().expose().len() == 23);
    for weak in ["short", "passwordpassword", "bob the tested"] {
        let op = CreateUser { password: chosen(weak), ..new_user("bob") };
        let fault = office.ask(&office.admin, op).await.unwrap_err();
        assert_eq!((fault.kind(), fault.target()), (Kind::Invalid, Some("passwordProfile.password")), "{weak}");
    }
    let own = ResetPassword { user: id(office.admin.principal().unwrap().id), password: chosen(PASSWORD) };
    assert_eq!(office.ask(&office.admin, own).await.unwrap_err().kind(), Kind::Conflict);
}

#[tokio::test]
async fn a_reset_ends_sessions_and_a_new_one_counts_at_once() {
    let office = Office::new().await;
    let ann = office.user("ann").await;
    let before = office.stand.guess("ann", PASSWORD).await.unwrap();
    assert!(office.stand.view(&before.cookie).await.is_some());
    let reset = ResetPassword { user: id(ann), password: chosen("obelisk under plaster") };
    assert!(office.do_it(reset).await.is_none());
    assert!(office.stand.view(&before.cookie).await.is_none());
    assert!(office.stand.guess("ann", PASSWORD).await.is_err());
    office.stand.pass(1);
    let after = office.stand.guess("ann", "obelisk under plaster").await.unwrap();
    assert!(office.stand.view(&after.cookie).await.is_some());
    // Signing out everywhere leaves the password alone.
    office.do_it(RevokeSignInSessions { user: id(ann) }).await;
    assert!(office.stand.view(&after.cookie).await.is_none());
    office.stand.pass(1);
    assert!(office.stand.guess("ann", "obelisk under plaster").await.is_ok());
}

#[tokio::test]
async fn an_administrator_of_users_has_no_way_to_more_rights() {
    let office = Office::new().await;
    let [owner, reader, officer, plain] = [
        office.user("owner").await,
        office.user("reader").await,
        office.user("officer").await,
        office.user("plain").await,
    ];
    office.grant(owner, OWNER, &somewhere()).await.unwrap();
    office.grant(reader, READER, &somewhere()).await.unwrap();
    office.grant(officer, APPLICATION_ADMINISTRATOR, &ResourceId::root()).await.unwrap();
    for principal in [owner, reader, officer, office.admin.principal().unwrap().id] {
        // A role that is held somewhere cannot be granted by somebody who holds none there: 404 where it may not be known.
        let kinds = [
            office.refused(ResetPassword { user: id(principal), password: chosen(PASSWORD) }).await,
            office
                .refused(update(principal, UserForm { password: Some(chosen(PASSWORD)), ..UserForm::default() }))
                .await,
            office.refused(update(principal, UserForm { must_change: Some(false), ..UserForm::default() })).await,
            office.refused(update(principal, UserForm { needs_mfa: Some(false), ..UserForm::default() })).await,
            office.refused(update(principal, enable(false))).await,
            office.refused(DeleteUser { user: id(principal) }).await,
        ];
        assert!(kinds.iter().all(|kind| matches!(kind, Kind::Denied | Kind::NotFound)), "{kinds:?}");
    }
    // Nor does it give itself a role of the directory, or make what only applications are.
    let own = office.clerk.principal().unwrap().id;
    for role in [APPLICATION_ADMINISTRATOR, USER_ADMINISTRATOR, OWNER] {
        let op = PutRoleAssignment { name: Uuid::new_v4(), scope: ResourceId::root(), role, principal: own };
        assert!(matches!(office.refused(op).await, Kind::Denied | Kind::NotFound));
    }
    let made = office.refused(CreateServicePrincipal { name: String::from("robot") }).await;
    assert!(matches!(made, Kind::Denied | Kind::NotFound));
    // What is not refused: people who hold nothing.
    let demand = UserForm { needs_mfa: Some(true), ..UserForm::default() };
    assert!(office.ask(&office.clerk, update(plain, demand)).await.unwrap().needs_mfa);
    assert!(crate::identity::policy::demands_mfa(&office.stand.house, plain, None));
    office
        .ask(&office.clerk, ResetPassword { user: id(plain), password: chosen("obelisk under plaster") })
        .await
        .unwrap();
    office.ask(&office.clerk, update(plain, enable(false))).await.unwrap();
    office.ask(&office.clerk, RevokeSignInSessions { user: id(owner) }).await.unwrap();
    office.ask(&office.clerk, DeleteUser { user: id(plain) }).await.unwrap();
}

#[tokio::test]
async fn an_owner_without_the_directory_s_role_does_not_reach_its_administrators() {
    let office = Office::new().await;
    let boss = office.user("boss").await;
    office.grant(boss, OWNER, &ResourceId::root()).await.unwrap();
    office.grant(boss, USER_ADMINISTRATOR, &ResourceId::root()).await.unwrap();
    let boss = caller(&office.stand, boss);
    let officer = office.user("officer").await;
    office.grant(officer, APPLICATION_ADMINISTRATOR, &ResourceId::root()).await.unwrap();
    let reset = ResetPassword { user: id(officer), password: chosen(PASSWORD) };
    assert_eq!(office.ask(&boss, reset).await.unwrap_err().kind(), Kind::Denied);
    let op = PutRoleAssignment {
        name: Uuid::new_v4(),
        scope: ResourceId::root(),
        role: APPLICATION_ADMINISTRATOR,
        principal: boss.principal().unwrap().id,
    };
    assert_eq!(office.ask(&boss, op).await.unwrap_err().kind(), Kind::Denied);
}

#[tokio::test]
async fn nobody_shuts_out_themselves_and_the_last_owner_stays() {
    let office = Office::new().await;
    let admin = office.admin.principal().unwrap().id;
    assert_eq!(office.ask(&office.admin, update(admin, enable(false))).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(office.ask(&office.admin, DeleteUser { user: id(admin) }).await.unwrap_err().kind(), Kind::Conflict);
    // The founding service principal owns the root beside the admin; once it is gone, the admin is the last.
    let all = office.do_it(ListServicePrincipals { listing: Listing::default() }).await;
    let founder = all.entries.iter().find(|principal| principal.name == "bartizan-owner").unwrap().id;
    let second = office.user("second").await;
    office.grant(second, OWNER, &ResourceId::root()).await.unwrap();
    office.grant(second, APPLICATION_ADMINISTRATOR, &ResourceId::root()).await.unwrap();
    office.do_it(DeleteServicePrincipal { principal: founder }).await;
    office.do_it(update(second, enable(false))).await;
    // A group's owners do not count: who is in it changes without anybody looking.
    let group = office.group("owners").await;
    office.grant(group, OWNER, &ResourceId::root()).await.unwrap();
    let clerk = office.clerk.principal().unwrap().id;
    office.do_it(AddGroupMember { group, member: clerk }).await;
    office.grant(clerk, APPLICATION_ADMINISTRATOR, &ResourceId::root()).await.unwrap();
    let fault = office.ask(&office.clerk, DeleteUser { user: id(admin) }).await.unwrap_err();
    assert_eq!(fault.kind(), Kind::Conflict, "{fault}");
    assert!(fault.public().contains("last owner"), "{fault}");
    assert_eq!(office.ask(&office.clerk, update(admin, enable(false))).await.unwrap_err().kind(), Kind::Conflict);
    // With another who can sign in, it works.
    office.do_it(update(second, enable(true))).await;
    office.ask(&office.clerk, DeleteUser { user: id(admin) }).await.unwrap();
}

#[tokio::test]
async fn a_name_that_comes_again_has_nothing_of_the_one_before() {
    let office = Office::new().await;
    let group = office.group("team").await;
    let ann = office.user("ann").await;
    office.grant(ann, READER, &somewhere()).await.unwrap();
    office.do_it(AddGroupMember { group, member: ann }).await;
    let session = office.stand.guess("ann", PASSWORD).await.unwrap();
    assert!(office.may_read(ann));
    office.do_it(DeleteUser { user: id(ann) }).await;
    assert!(!office.may_read(ann) && office.stand.view(&session.cookie).await.is_none());
    assert!(office.stand.guess("ann", PASSWORD).await.is_err());
    assert_eq!(office.grant(ann, READER, &somewhere()).await.unwrap_err().kind(), Kind::Invalid);
    let again = office.user("ann").await;
    assert_ne!(again, ann);
    assert!(!office.may_read(again) && office.stand.house.access().memberships() == 0);
    assert!(office.stand.view(&session.cookie).await.is_none());
    // The old id is remembered as one that was given.
    let system = office.stand.house.system();
    let tombstone = office.stand.house.peek::<crate::identity::records::Tombstone>(system, ann.as_bytes()).await;
    assert_eq!(tombstone.unwrap().unwrap().value.name, "ann");
}

#[tokio::test]
async fn two_who_make_the_same_name_at_once_make_one_user() {
    let office = Office::new().await;
    let all = futures::future::join_all((0..5).map(|_| office.ask(&office.admin, new_user("ann")))).await;
    assert_eq!(all.iter().filter(|made| made.is_ok()).count(), 1);
    assert!(all.iter().filter_map(|made| made.as_ref().err()).all(|fault| fault.kind() == Kind::Exists));
}
