//! Templates, read: what is made, in which order, and what is refused.

use kernel::{Kind, Result};
use serde_json::{Map, Value, json};

use super::{expression::Surroundings, template::Plan};

const GROUP: &str = "/subscriptions/6f9619ff-8b86-d011-b42d-00c04fc964ff/resourceGroups/rg";

fn read(template: Value, given: Value) -> Result<Plan> {
    let mut whole = json!({"$schema": "x", "contentVersion": "1.0.0.0", "resources": []});
    for (key, value) in template.as_object().unwrap() {
        whole[key] = value.clone();
    }
    let surroundings = Surroundings {
        scope: GROUP.parse().unwrap(),
        subscription: json!({"subscriptionId": "6f9619ff-8b86-d011-b42d-00c04fc964ff"}),
        group: Some(json!({"location": "here", "tags": {"a": "b"}})),
        deployment: json!({"name": "d"}),
    };
    let given: Map<String, Value> =
        given.as_object().unwrap().iter().map(|(name, value)| (name.clone(), json!({"value": value}))).collect();
    Plan::read(&whole, &given, surroundings)
}

fn thing(name: &str, needs: &[&str]) -> Value {
    json!({"type": "M.X/things", "apiVersion": "1", "name": name, "dependsOn": needs})
}

fn order(plan: &Plan) -> Vec<&str> {
    plan.steps().iter().map(|step| step.id.name()).collect()
}

fn refusal(template: Value, given: Value) -> String {
    let fault = read(template, given).err().unwrap();
    assert!(matches!(fault.kind(), Kind::Invalid | Kind::Unsupported), "{fault}");
    fault.public().to_owned()
}

#[test]
fn each_resource_comes_after_what_it_needs() {
    let refers =
        json!({"type": "M.X/things", "apiVersion": "1", "name": "d", "properties": {"of": "[reference('c').x]"}});
    let resources = json!([
        refers,
        thing("a", &["[resourceId('M.X/things', 'b')]"]),
        thing("b", &["c"]),
        thing("c", &[]),
        thing("e", &[])
    ]);
    let plan = read(json!({"resources": resources}), json!({})).unwrap();
    assert_eq!(order(&plan), ["c", "d", "b", "a", "e"]);
    assert_eq!(plan.steps()[0].id.as_str(), format!("{GROUP}/providers/M.X/things/c"));
    for loops in [json!([thing("a", &["b"]), thing("b", &["a"])]), json!([thing("a", &["a"])])] {
        assert!(refusal(json!({"resources": loops}), json!({})).contains("depends on itself"));
    }
    let missing = json!({"resources": [thing("a", &["nowhere"])]});
    assert!(refusal(missing, json!({})).contains("not defined in the template"));
    let twice = json!({"resources": [thing("a", &[]), thing("A", &[])]});
    assert!(refusal(twice, json!({})).contains("more than once"));
}

#[test]
fn conditions_and_loops_decide_what_is_made() {
    let mut off = thing("off", &[]);
    off["condition"] = json!("[not(parameters('on'))]");
    let mut many = thing("[concat('n', copyIndex(1))]", &["off"]);
    many["copy"] = json!({"name": "loop", "count": "[length(createArray(1, 2))]"});
    many["properties"] = json!({"at": "[copyIndex('loop')]", "where": "[resourceGroup().location]"});
    let last = thing("last", &["loop"]);
    let resources = json!([last, off, many]);
    let template = json!({"parameters": {"on": {"type": "bool", "defaultValue": true}}, "resources": resources});
    let plan = read(template.clone(), json!({})).unwrap();
    assert_eq!(order(&plan), ["n1", "n2", "last"]);
    assert_eq!(plan.body(&plan.steps()[1]).unwrap(), json!({"properties": {"at": 1, "where": "here"}}));
    assert_eq!(order(&read(template, json!({"ON": false})).unwrap()).len(), 4);
}

#[test]
fn a_resource_within_another_is_made_beside_it() {
    let mut outer = thing("[concat('out', 'er')]", &[]);
    outer["resources"] = json!([{"type": "parts", "apiVersion": "1", "name": "it's", "dependsOn": ["outer"]}]);
    let plan = read(json!({"resources": [outer]}), json!({})).unwrap();
    assert_eq!(plan.steps()[1].id.as_str(), format!("{GROUP}/providers/M.X/things/outer/parts/it's"));
    assert_eq!(plan.steps()[1].kind, "M.X/things/parts");
}

#[test]
fn references_are_known_once_the_resource_is() {
    let refers = json!({"type": "M.X/things", "apiVersion": "1", "name": "b",
        "properties": {"x": "[concat(reference('a').x, '-', reference(resourceId('M.X/things', 'a'), '1', 'Full').name)]"}});
    let outputs = json!({"o": {"type": "string", "value": "[reference('b').y]"}});
    let mut plan = read(json!({"resources": [refers, thing("a", &[])], "outputs": outputs}), json!({})).unwrap();
    let wanted = plan.wanted(1).unwrap();
    assert_eq!(wanted.len(), 2);
    let a = wanted[0].id.clone();
    plan.know(&a, json!({"name": "a", "properties": {"x": "v"}})).unwrap();
    assert!(plan.wanted(1).unwrap().is_empty());
    let b = plan.steps()[1].clone();
    assert_eq!(plan.body(&b).unwrap()["properties"]["x"], "v-a");
    assert_eq!(plan.wanted_of_outputs().unwrap()[0].id, b.id);
    plan.know(&b.id, json!({"properties": {"y": "z"}})).unwrap();
    assert_eq!(plan.outputs().unwrap()["o"], json!({"type": "string", "value": "z"}));
}

#[test]
fn parameters_are_held_against_their_declarations() {
    let declared = |rules: Value| json!({"parameters": {"p": rules}});
    for (rules, given, why) in [
        (json!({"type": "string"}), json!({}), "neither a value nor a default"),
        (json!({"type": "int"}), json!({"p": "1"}), "not of the type"),
        (json!({"type": "thing"}), json!({"p": "1"}), "type"),
        (json!({"type": "string", "allowedValues": ["a"]}), json!({"p": "b"}), "not one of those allowed"),
        (json!({"type": "string", "minLength": 2}), json!({"p": "b"}), "outside"),
        (json!({"type": "int", "maxValue": 2}), json!({"p": 3}), "outside"),
        (json!({"type": "string", "defaultValue": "[parameters('p')]"}), json!({}), "defined by itself"),
        (json!({"type": "string", "defaultValue": ""}), json!({"q": 1}), "not declared"),
    ] {
        let said = refusal(declared(rules), given);
        assert!(said.contains(why), "{said}");
    }
    let chained = json!({"parameters": {
        "a": {"type": "string", "defaultValue": "[concat(parameters('b'), '!')]"},
        "b": {"type": "string", "defaultValue": "[toUpper(parameters('c'))]"},
        "c": {"type": "string"},
    }});
    assert_eq!(read(chained, json!({"c": "x"})).unwrap().parameters()["a"]["value"], "X!");
}

#[test]
fn a_secure_parameter_is_not_shown() {
    let resource =
        json!({"type": "M.X/things", "apiVersion": "1", "name": "a", "properties": {"key": "[parameters('s')]"}});
    let template = |output: Value| json!({"parameters": {"s": {"type": "secureString"}}, "resources": [resource.clone()], "outputs": {"o": output}});
    let secure = json!({"type": "securestring", "value": "[parameters('s')]"});
    let plan = read(template(secure), json!({"s": "hunter2"})).unwrap();
    assert_eq!(plan.body(&plan.steps()[0]).unwrap()["properties"]["key"], "hunter2");
    let shown = [
        Value::Object(plan.parameters().clone()),
        plan.preview(&plan.steps()[0]).unwrap(),
        Value::Object(plan.outputs().unwrap()),
        plan.redact("a key `hunter2` is no good").into(),
    ];
    for shown in shown {
        assert!(!shown.to_string().contains("hunter2"), "{shown}");
    }
    let open = json!({"type": "string", "value": "[concat('x', parameters('s'))]"});
    assert!(refusal(template(open), json!({"s": "hunter2"})).contains("would show a secure parameter"));
}

#[test]
fn a_secure_parameter_gets_into_no_nested_deployment_and_no_default_that_shows_it() {
    let given = json!({"s": "hunter2"});
    let nested = |scope: &str, kind: &str, value: &str| {
        let inner = json!({"parameters": {"p": {"type": kind}}, "resources": []});
        let options = json!({"scope": scope});
        let properties = json!({"expressionEvaluationOptions": options, "mode": "Incremental", "template": inner, "parameters": {"p": {"value": value}}});
        let resource = json!({"type": "Microsoft.Resources/deployments", "apiVersion": "1", "name": "n", "properties": properties});
        json!({"parameters": {"s": {"type": "secureString"}}, "resources": [resource]})
    };
    assert!(refusal(nested("outer", "secureString", "x"), given.clone()).contains("would keep secure parameters"));
    for value in ["[parameters('s')]", "[toUpper(parameters('S'))]"] {
        let shown = refusal(nested("inner", "string", value), given.clone());
        assert!(shown.contains("make its own `p` secure"), "{shown}");
        assert!(read(nested("inner", "secureString", value), given.clone()).is_ok());
    }
    assert!(read(nested("inner", "string", "x"), given.clone()).is_ok());
    let default = json!({"s": {"type": "secureString"}, "t": {"type": "string", "defaultValue": "[concat('x', parameters('s'))]"}});
    assert!(refusal(json!({"parameters": default}), given).contains("the default of the parameter `t`"));
}

#[test]
fn what_grows_without_bound_or_circles_is_refused() {
    let mut variables = Map::new();
    variables.insert(String::from("v0"), json!("xxxxxxxxxxxxxxxx"));
    for at in 1..60 {
        let before = format!("variables('v{}')", at - 1);
        variables.insert(format!("v{at}"), json!(format!("[concat({before}, {before}, {before})]")));
    }
    let uses = thing("[variables('v59')]", &[]);
    assert!(refusal(json!({"variables": variables, "resources": [uses]}), json!({})).contains("grows beyond"));
    let circle = json!({"a": "[variables('b')]", "b": "[variables('a')]"});
    let uses = thing("[variables('a')]", &[]);
    assert!(refusal(json!({"variables": circle, "resources": [uses]}), json!({})).contains("defined by itself"));
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let uses = json!({"type": "M.X/things", "apiVersion": "1", "name": "a", "properties": deep});
    assert!(refusal(json!({"resources": [uses]}), json!({})).contains("nested deeper"));
    let mut many = thing("[concat('n', copyIndex())]", &[]);
    many["copy"] = json!({"name": "loop", "count": 801});
    assert!(refusal(json!({"resources": [many]}), json!({})).contains("at most 800"));
}

#[test]
fn a_loop_over_much_is_refused_before_it_turns() {
    let looped = |count: usize, properties: Value, needs: Value| {
        json!({"type": "M.X/things", "apiVersion": "1", "name": "[concat('n', copyIndex())]", "dependsOn": needs,
            "copy": {"name": "loop", "count": count}, "properties": properties})
    };
    let numbers = || json!(vec![1; 100_000]);
    let many_names = json!(vec!["x"; 100_000]);
    let halves = json!([
        looped(400, json!("x".repeat(6_000)), json!([])),
        {"type": "M.X/others", "apiVersion": "1", "name": "[concat('o', copyIndex())]",
            "copy": {"name": "loop", "count": 400}, "properties": "x".repeat(6_000)},
    ]);
    for resources in [
        json!([looped(800, numbers(), json!([]))]),
        json!([looped(800, json!({}), many_names.clone())]),
        json!([looped(800, json!("x".repeat(6_000)), json!([]))]),
        halves,
    ] {
        assert!(refusal(json!({"resources": resources}), json!({})).contains("its loops grow beyond"));
    }
    // One that is made once is as large as it was sent, and needs others once each.
    let mut last = thing("last", &[]);
    last["dependsOn"] = json!(vec!["loop"; 100_000]);
    last["properties"] = numbers();
    let plan = read(json!({"resources": [last, looped(800 - 1, json!("x"), json!([]))]}), json!({})).unwrap();
    assert_eq!(plan.steps().last().unwrap().id.name(), "last");
    assert_eq!(plan.steps().len(), 800);
}

#[test]
fn a_need_of_what_is_not_made_counts_for_those_of_its_name_that_are() {
    let (mut off, mut other) = (thing("a", &[]), thing("a", &[]));
    off["condition"] = json!(false);
    other["type"] = json!("M.X/others");
    let resources = json!([thing("last", &["a", "[resourceId('M.X/things', 'a')]"]), off, other]);
    assert_eq!(order(&read(json!({"resources": resources}), json!({})).unwrap()), ["a", "last"]);
}

#[test]
fn references_and_evaluations_are_bounded_for_the_whole_deployment() {
    let id = |number: usize| format!("{GROUP}/providers/M.X/things/t{number}");
    let all: serde_json::Map<String, Value> =
        (0..801).map(|n| (format!("p{n}"), json!(format!("[reference('{}').x]", id(n))))).collect();
    let referring = |all: &Map<String, Value>| {
        let one = json!({"type": "M.X/things", "apiVersion": "1", "name": "a", "properties": all});
        json!({"resources": [one]})
    };
    assert!(refusal(referring(&all), json!({})).contains("more than 800 resources"));
    let few = all.into_iter().take(800).collect();
    read(referring(&few), json!({})).unwrap();

    // Each resource is small enough by itself; together they are not.
    let large = json!({"type": "M.X/things", "apiVersion": "1", "name": "[concat('a', copyIndex())]",
        "copy": {"name": "loop", "count": 40}, "properties": {"of": "[concat(variables('big'), variables('big'))]"}});
    let template = json!({"variables": {"big": "x".repeat(600_000)}, "resources": [large]});
    let said = refusal(template, json!({}));
    assert!(said.contains("bytes in all"), "{said}");
}

#[test]
fn parameters_take_from_the_same_budget_as_everything_else() {
    let mut declared = Map::new();
    declared.insert(String::from("p0"), json!({"type": "string"}));
    for at in 1..40 {
        declared.insert(format!("p{at}"), json!({"type": "string", "defaultValue": "[concat(parameters('p0'))]"}));
    }
    let given = json!({"p0": "x".repeat(1 << 20)});
    let said = refusal(json!({"parameters": declared}), given.clone());
    assert!(said.contains("bytes in all"), "{said}");
    // Those that no expression makes count too.
    let plain = (0..256).map(|at| (format!("p{at}"), json!({"type": "string", "defaultValue": "x".repeat(1 << 19)})));
    let said = refusal(json!({"parameters": plain.collect::<Map<_, _>>()}), json!({}));
    assert!(said.contains("bytes in all"), "{said}");
}

#[test]
fn looking_for_secrets_is_bounded() {
    let template = |text: &str| {
        json!({"parameters": {"s": {"type": "secureObject"}},
            "outputs": {"o": {"type": "string", "value": text}, "p": {"type": "string", "value": text}}})
    };
    let texts = |count: usize| json!({"s": {"all": (0..count).map(|at| format!("secret{at}")).collect::<Vec<_>>()}});
    assert!(read(template("x"), texts(256)).is_ok());
    let said = refusal(template("x"), texts(257));
    assert!(said.contains("more than 256 different texts"), "{said}");
    // One text however often is one.
    assert!(read(template("x"), json!({"s": {"all": vec!["same"; 300]}})).is_ok());
    let much = "x".repeat(3 << 20);
    assert!(read(template(&much), texts(16)).is_ok());
    let said = refusal(template(&much), texts(256));
    assert!(said.contains("bytes in all"), "{said}");
}
