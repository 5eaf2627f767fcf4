//! Preferences in the forms in which they are shared.

use std::path::Path;

use serde_json::{Value, json};

use super::Preference;
use crate::json::objects;
use crate::table::Input;

const EXPECTED: crate::json::Expected = crate::json::Expected { name: "a preference", remedy: "write one" };

/// Prompt, better and worse answer of an object.
fn read(object: &Value) -> std::result::Result<[String; 3], String> {
    let path = Path::new("preferences.jsonl");
    let mut found = objects(path, Input::of_text(&object.to_string()).text, EXPECTED).unwrap();
    let object = found.next().unwrap().unwrap();
    let read = Preference::of(path, &object, EXPECTED.remedy).map_err(|error| error.to_string())?;
    Ok([read.prompt, read.chosen, read.rejected])
}

fn messages(turns: &[(&str, &str)]) -> Value {
    turns.iter().map(|(role, content)| json!({"role": role, "content": content})).collect()
}

#[test]
fn a_prompt_has_many_names() {
    for (mut object, prompt) in [
        (json!({"question": "Why?"}), "Why?"),
        (json!({"instruction": "Why?"}), "Why?"),
        (json!({"instruction": "Shorten.", "input": "A long text."}), "Shorten.\n\nA long text."),
        (json!({"input": "Why?"}), "Why?"),
        (json!({"system": "Be kind.", "question": "Why?"}), "system: Be kind.\n\nuser: Why?"),
        (json!({"system": "", "prompt": "Why?", "question": "Why?"}), "Why?"),
        (
            json!({"history": [["Who?", "I."]], "instruction": "Why?"}),
            "user: Who?\n\nassistant: I.\n\nuser: Why?",
        ),
        (json!({"history": [], "prompt": "Why?", "id": 3, "source": "x", "score_chosen": 4.0}), "Why?"),
        (json!({"prompt": "Why?", "messages": [{"role": "user", "content": "Why?"}]}), "Why?"),
        (json!({"prompt_id": "f3", "category": "science"}), ""),
    ] {
        object["chosen"] = "So.".into();
        object["rejected"] = "No.".into();
        assert_eq!(read(&object).unwrap(), [prompt, "So.", "No."], "{object}");
    }
}

#[test]
fn what_may_be_a_prompt_is_refused_by_name() {
    for (mut object, what) in [
        (json!({"system": "Be kind.", "ask": "Why?"}), "line 1: no prompt, and \"ask\" is not read"),
        (json!({"ask": "Why?"}), "line 1: no prompt, and \"ask\" is not read; put it into \"prompt\""),
        (
            json!({"conversations": [{"from": "human", "value": "Why?"}]}),
            "no prompt, and \"conversations\" is not read",
        ),
        (
            json!({"prompt": "Why?", "context": "A text."}),
            "\"context\" is not read, and may belong to the prompt",
        ),
        (json!({"prompt": "Why?", "question": "Who?"}), "\"prompt\" and \"question\" differ"),
        (json!({"prompt": "Why?", "history": "before"}), "\"history\" is no list of questions"),
        (json!({"prompt": "Why?", "history": {"a": 1}}), "\"history\" is"),
        (json!({"prompt": 5}), "\"prompt\" is a number"),
        (json!({"prompt": "[{'role': 'user', 'content': 'Why?'}]"}), "\"prompt\" is a list as text"),
    ] {
        object["chosen"] = "So.".into();
        object["rejected"] = "No.".into();
        let message = read(&object).unwrap_err();
        assert!(message.contains(what), "{message}");
    }
}

#[test]
fn messages_follow_the_prompt_unless_they_begin_with_it() {
    let later = [("assistant", "Which one?"), ("user", "That.")];
    let whole = "user: Why?\n\nassistant: Which one?\n\nuser: That.";
    let asked = [("user", "Why?")];
    let system = [("system", "Be kind.")];
    let both = |turns: &[(&str, &str)]| {
        let with = |answer| messages(&[turns, &[("assistant", answer)]].concat());
        (with("So."), with("No."))
    };
    for (prompt, turns, expected) in [
        (messages(&asked), later.to_vec(), whole.to_owned()),
        (json!("Why?"), later.to_vec(), whole.to_owned()),
        (json!("Why? "), [&asked[..], &later].concat(), whole.to_owned()),
        (messages(&asked), [&system[..], &asked, &later].concat(), format!("system: Be kind.\n\n{whole}")),
        (
            messages(&[&system[..], &asked].concat()),
            [&asked[..], &later].concat(),
            format!("system: Be kind.\n\n{whole}"),
        ),
        (messages(&[&system[..], &asked].concat()), later.to_vec(), format!("system: Be kind.\n\n{whole}")),
        (
            messages(&[&system[..], &asked].concat()),
            [&system[..], &asked, &later].concat(),
            format!("system: Be kind.\n\n{whole}"),
        ),
        (Value::Null, [&asked[..], &later].concat(), whole.to_owned()),
    ] {
        let (chosen, rejected) = both(&turns);
        let object = json!({"prompt": prompt, "chosen": chosen, "rejected": rejected});
        assert_eq!(read(&object).unwrap(), [expected.as_str(), "So.", "No."], "{object}");
        let as_text =
            json!({"prompt": prompt, "chosen": chosen.to_string(), "rejected": rejected.to_string()});
        assert_eq!(read(&as_text).unwrap()[0], expected, "{as_text}");
    }
}

#[test]
fn dialogues_in_one_text_share_their_prompt() {
    let dialogue = "\n\nHuman: Why?\n\nAssistant: Which one?\n\nHuman: That.\n\nAssistant:";
    for (prompt, begins, expected) in [
        (Value::Null, "\n\nHuman: Why?\n\nAssistant:", "Why?"),
        (json!("Why?"), "Human: Why?\n\nAssistant:", "Why?"),
        (json!("\n\nHuman: Why?\n\nAssistant:"), "\n\nHuman: Why?\n\nAssistant:", "Why?"),
        (Value::Null, dialogue, "Human: Why?\n\nAssistant: Which one?\n\nHuman: That."),
        (Value::Null, "### Human: Why?\n### Assistant:", "Why?"),
        (Value::Null, "USER: Why? ASSISTANT:", "Why?"),
        (
            Value::Null,
            "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n",
            "<|im_start|>user\nWhy?<|im_end|>",
        ),
        (json!("Say it."), "\n\nHuman: Why?\n\nAssistant:", "user: Say it.\n\nuser: Why?"),
    ] {
        let [chosen, rejected] = ["So it is.", "So it goes."].map(|answer| format!("{begins} {answer}"));
        let object = json!({"prompt": prompt, "chosen": chosen, "rejected": rejected});
        assert_eq!(read(&object).unwrap(), [expected, "So it is.", "So it goes."], "{object}");
    }
    let object = json!({"system": "Be kind.", "chosen": format!("{dialogue} So."), "rejected": format!("{dialogue} No.")});
    assert!(read(&object).unwrap()[0].starts_with("system: Be kind.\n\nuser: Human: Why?"));
    // The answers go apart early, and one of them goes on.
    let start = "\n\nHuman: Why?\n\nAssistant:";
    let object = json!({"chosen": format!("{start} So.\n\nHuman: Fine.\n\nAssistant: Yes."), "rejected": format!("{start} No.")});
    assert_eq!(read(&object).unwrap()[..2], ["Why?", "So.\n\nHuman: Fine.\n\nAssistant: Yes."]);
    let object =
        json!({"chosen": "Human: Why?\n\nAssistant: So.", "rejected": "Human: Who?\n\nAssistant: No."});
    assert!(read(&object).unwrap_err().contains("answer different prompts"));
    let essays = json!({"chosen": "My Assistant: a tale.", "rejected": "My Assistant: a play."});
    assert_eq!(read(&essays).unwrap(), ["", "My Assistant: a tale.", "My Assistant: a play."]);
}
