import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const session = "00000000-0000-4000-8000-000000000001";

interface Row {
  readonly by: "user" | "assistant";
  readonly text: string;
  /** Command of a call; absent: none. */
  readonly runs?: string | undefined;
  readonly id: string;
  /** The row before it of its window. */
  readonly parent: string | null;
  readonly timestamp: string;
}

interface Client {
  readonly prompts: string;
  readonly ends: string;
  /** Field of the event of a turn's end that has the last words; null: it has none. */
  readonly lastWords: string | null;
  readonly write: (row: Row) => object;
}

const qwen: Client = {
  prompts: "UserPromptSubmit",
  ends: "Stop",
  lastWords: "last_assistant_message",
  write: ({ by, text, runs, id, parent, timestamp }) => {
    const call =
      runs === undefined ? [] : [{ functionCall: { id, name: "run_shell_command", args: { command: runs } } }];
    const message = { role: by === "user" ? "user" : "model", parts: [{ text }, ...call] };
    return { uuid: id, parentUuid: parent, sessionId: session, timestamp, type: by, message };
  },
};

const gemini: Client = {
  prompts: "BeforeAgent",
  ends: "AfterAgent",
  lastWords: "prompt_response",
  write: ({ by, text, id, timestamp }) =>
    by === "user"
      ? { id, timestamp, type: "user", content: [{ text }] }
      : { id, timestamp, type: "gemini", content: text },
};

const copilot: Client = {
  prompts: "UserPromptSubmit",
  ends: "Stop",
  lastWords: null,
  write: ({ by, text, id, parent, timestamp }) => ({
    type: `${by}.message`,
    data: { content: text },
    id,
    parentId: parent,
    timestamp,
  }),
};

/** Two windows of one session, which both add to its transcript. */
class Windows {
  readonly #runtime = tempRuntime();
  readonly #file = join(temporaryFolder(), "events.jsonl");
  readonly #client: Client;
  readonly #chats: readonly RecordedClient[];
  /** Newest row of each window. */
  readonly #rows: (string | null)[] = [null, null];

  constructor(name: string, client: Client) {
    this.#client = client;
    this.#chats = [2_000, 2_001].map((pid) => new RecordedClient(this.#runtime, name, pid));
    this.#tell(0, "SessionStart");
  }

  openSecond(): void {
    this.#rows[1] = this.#rows[0] ?? null;
    this.#tell(1, "SessionStart-resume");
  }

  ask(window: number, word: string): void {
    this.#tell(window, this.#client.prompts, { prompt: `${word} please` });
    this.#write(window, "user", `${word} please`);
  }

  say(window: number, text: string, runs?: string): void {
    this.#write(window, "assistant", text, runs);
  }

  finish(window: number, text: string): void {
    this.say(window, text);
    const { ends, lastWords } = this.#client;
    this.#tell(window, ends, lastWords === null ? {} : { [lastWords]: text });
  }

  /** What the record of a window has of its own, in the order in which it was said. */
  has(window: number): string[] {
    const found = this.#runtime.store.read((sql) => sessions.list(sql), []);
    const id = window === 0 ? session : found.find(({ parentId }) => parentId === session)?.id;
    return (this.#chats[0]?.entries(id ?? "") ?? []).flatMap((entry) => {
      if (entry.kind === "prompt" || entry.kind === "assistant") return entry.text;
      return entry.kind === "tool_start" ? (entry.input ?? "") : entry.kind === "taken_back" ? entry.kind : [];
    });
  }

  #tell(window: number, event: string, fields: object = {}): void {
    this.#runtime.wait(10_000);
    this.#chats[window]?.send(event, { session_id: session, transcript_path: this.#file, ...fields });
  }

  #write(window: number, by: Row["by"], text: string, runs?: string): void {
    this.#runtime.wait(10);
    const id = `row-${text.replaceAll(" ", "-")}`;
    const timestamp = new Date(this.#runtime.now()).toISOString();
    const row = this.#client.write({ by, text, runs, id, parent: this.#rows[window] ?? null, timestamp });
    this.#rows[window] = id;
    appendFileSync(this.#file, `${JSON.stringify(row)}\n`);
  }
}

const clients: [name: string, client: Client, first: string[], second: string[]][] = [
  ["qwen", qwen, ["gamma goes on", "gamma is done", "make gamma"], ["delta goes on", "delta is done", "make delta"]],
  // Its rows name neither window nor prompt: whose words are those of a moment when both are in a turn is not known.
  ["gemini", gemini, [], ["delta is done"]],
  ["copilot", copilot, ["gamma goes on", "gamma is done"], ["delta goes on", "delta is done"]],
];

it.each(clients)(
  "%s, two windows of one session that both work at one moment: each has its own prompts, words and calls",
  (name, client, first, second) => {
    const windows = new Windows(name, client);
    windows.ask(0, "alpha");
    windows.finish(0, "alpha is done");
    windows.openSecond();
    windows.ask(1, "beta");
    windows.finish(1, "beta is done");
    windows.ask(0, "gamma");
    windows.ask(1, "delta");
    windows.say(0, "gamma goes on", "make gamma");
    windows.say(1, "delta goes on", "make delta");
    windows.finish(0, "gamma is done");
    windows.finish(1, "delta is done");
    // The last words of some clients are read with the next prompt.
    windows.ask(0, "epsilon");
    windows.ask(1, "zeta");
    expect(windows.has(0)).toEqual(["alpha please", "alpha is done", "gamma please", ...first, "epsilon please"]);
    expect(windows.has(1)).toEqual(["beta please", "beta is done", "delta please", ...second, "zeta please"]);
  },
);
