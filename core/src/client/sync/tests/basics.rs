use super::*;

#[test]
fn a_first_sync_tells_everything() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = public_room(&mut server, &alice);
    send(&mut server, &alice, &room, "hello");
    let mut client = Client::new(&alice);
    let answer = client.sync(&mut server);
    std::println!("{answer}");
    assert_eq!(timeline(&answer, &room).last().unwrap(), "hello");
    let answer = client.sync(&mut server);
    assert_eq!(at(&answer, &["rooms"]), &Value::Null);
    send(&mut server, &alice, &room, "again");
    let answer = client.sync(&mut server);
    std::println!("{answer}");
    assert_eq!(timeline(&answer, &room), ["again"]);
}
