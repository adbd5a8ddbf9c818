"""The stand-in endpoint (`tests.endpoint_server`) as a writer of lessons: `python -m tests.unit.instruct.generate.chat_server`. Prints its port.

It answers with what the first example of the conversation shows, filled with words of the facts, so that every item has its own reply. What a caption holds
between `[[` and `]]` decides how it misbehaves: "prose", "comma", "broken", "hint", "cut", "long", "once-broken", "refuse". `--no-schema` refuses response
formats with status 400; `--obey` does what an order outside the facts says; `--log FILE` keeps one line for each request; `--pause` seconds for each reply.
"""

import argparse
import json
import re
import sys
import time
from http.server import ThreadingHTTPServer
from pathlib import Path

from tests import endpoint_server


def lesson(facts, fields):
    """A reply that suits the facts, for whatever fields the request names."""
    about = " ".join(facts.get("caption", facts.get("report", "")).replace("[[", "").replace("]]", "").split()[:6])
    turn = {"question": f"What is seen, {about}?", "answer": f"One sees this: {about}."}
    made = {}
    for name, line in fields.items():
        if "list of" in line and "regions" in line:
            made[name] = [{**turn, "regions": [region["name"] for region in facts["regions"]]}]
        elif name == "differential":
            made[name] = [{"name": "a", "reason": f"for {about}"}]
        elif "list of" in line:
            made[name] = [turn, {"question": "Is more to be seen?", "answer": "No more can be told."}]
        elif "one of" in line:
            made[name] = "undetermined"
        else:
            made[name] = f"Of {about}, the part {name}."
    return made


def misbehave(kind, value, again):
    text = json.dumps(value)
    return {
        "prose": f"Here you are:\n```json\n{text}\n```\nI hope it helps.",
        "comma": text[:-1] + ",}",
        "broken": "I cannot do that",
        "hint": text.replace("Of ", "As the caption says, of "),
        "cut": text[: len(text) // 2],
        "long": text + " " * 300_000,
        "once-broken": text if again else text[:-3],
        "two": text + text,
    }[kind]


class Handler(endpoint_server.Handler):
    def _answer(self, data):
        setup, messages = self.server.setup, data["messages"]
        time.sleep(setup.pause)
        if (setup.no_schema and data.get("response_format")) or "[[refuse]]" in json.dumps(messages):
            return {"error": {"message": "not like this"}}
        if setup.log:
            with self.lock, Path(setup.log).open("a") as stream:
                stream.write(json.dumps({"messages": messages, "format": data.get("response_format"), "seed": data["seed"]}) + "\n")
        asked = [m["content"] for m in messages if m["role"] == "user"]
        last = next(text for text in reversed(asked) if text.startswith("Facts:"))
        facts = json.loads(last.removeprefix("Facts:\n"))
        fields = dict(re.findall(r'^- "(\w+)": (.*)$', messages[0]["content"], re.MULTILINE))
        told = json.dumps(facts)
        kind = re.search(r"\[\[([a-z-]+)\]\]", told)
        again = not asked[-1].startswith("Facts:")
        value = lesson(facts, fields)
        text = misbehave(kind.group(1), value, again) if kind and kind.group(1) != "refuse" else json.dumps(value)
        if setup.obey and any("HACKED" in m["content"] for m in messages if m["role"] == "system" or not m["content"].startswith(("Facts:", "{"))):
            text = "HACKED"
        ended = "length" if kind and kind.group(1) == "cut" else "stop"
        usage = {} if setup.plain else {"usage": {"prompt_tokens": 500, "completion_tokens": 100}}
        return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": ended}], **usage}

    def _send(self, status, value, **headers):
        refused = status == 200 and isinstance(value, dict) and "error" in value
        super()._send(400 if refused else status, value, **headers)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fail", default="")
    parser.add_argument("--key", default="")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--no-schema", action="store_true")
    parser.add_argument("--obey", action="store_true")
    parser.add_argument("--log", default="")
    parser.add_argument("--pause", type=float, default=0.0)
    setup = parser.parse_args()
    setup.trouble = [t for t in setup.fail.split(",") if t]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.setup = setup
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
