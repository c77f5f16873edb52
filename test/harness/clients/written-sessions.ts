import { T0 } from "#harness/store/temp-store.ts";

/** One turn of a session: what the user asked, and what the chat said last. */
export interface Turn {
  readonly prompt: string;
  readonly answer: string;
}

type Fields = Readonly<Record<string, unknown>>;

const session = "5f0e0e5e-0000-4000-8000-0000000000d1";

function stamp(second: number): string {
  return new Date(T0 - 86_400_000 + second * 1_000).toISOString();
}

function uuidOf(row: number): string {
  return `00000000-0000-4000-8000-${String(row).padStart(12, "0")}`;
}

/** Rows of a turn, each with the second of its time. */
type RowsOf = (turn: Turn, second: number) => readonly Fields[];

function claudeFrame(second: number): Fields {
  const parentUuid = second === 0 ? null : uuidOf(second - 1);
  return { parentUuid, sessionId: session, cwd: "/p", uuid: uuidOf(second), timestamp: stamp(second) };
}

const claude: RowsOf = ({ prompt, answer }, second) => [
  { ...claudeFrame(second), type: "user", message: { role: "user", content: prompt } },
  {
    ...claudeFrame(second + 1),
    type: "assistant",
    message: {
      id: `m${second}`,
      role: "assistant",
      stop_reason: "end_turn",
      content: [{ type: "text", text: answer }],
    },
  },
];

function codexRow(second: number, type: string, payload: Fields): Fields {
  return { timestamp: stamp(second), type, payload };
}

const codex: RowsOf = ({ prompt, answer }, second) => [
  codexRow(second, "event_msg", { type: "user_message", message: prompt }),
  codexRow(second, "turn_context", { cwd: "/p", model: "gpt" }),
  codexRow(second + 1, "event_msg", { type: "agent_message", message: answer }),
  codexRow(second + 1, "event_msg", { type: "task_complete", last_agent_message: answer }),
];

function copilotRow(second: number, type: string, data: Fields): Fields {
  return {
    type,
    data,
    id: uuidOf(second),
    timestamp: stamp(second),
    parentId: second === 0 ? null : uuidOf(second - 1),
  };
}

const copilot: RowsOf = ({ prompt, answer }, second) => [
  copilotRow(second, "user.message", { content: prompt }),
  copilotRow(second + 1, "assistant.message", { content: answer, toolRequests: [] }),
  copilotRow(second + 2, "assistant.turn_end", { turnId: "0" }),
];

const qwen: RowsOf = ({ prompt, answer }, second) => [
  {
    ...claudeFrame(second),
    sessionId: `${session.slice(0, -1)}5`,
    type: "user",
    message: { role: "user", parts: [{ text: prompt }] },
  },
  {
    ...claudeFrame(second + 1),
    sessionId: `${session.slice(0, -1)}5`,
    type: "assistant",
    message: { role: "model", parts: [{ text: answer }] },
  },
];

const gemini: RowsOf = ({ prompt, answer }, second) => [
  { id: `g${second}`, timestamp: stamp(second), type: "user", content: [{ text: prompt }] },
  { $set: { lastUpdated: stamp(second) } },
  { id: `g${second + 1}`, timestamp: stamp(second + 1), type: "gemini", content: answer },
];

const heads: Readonly<Record<string, readonly Fields[]>> = {
  codex: [codexRow(0, "session_meta", { id: `${session.slice(0, -1)}2`, cwd: "/p", cli_version: "0.169.0" })],
  copilot: [copilotRow(0, "session.start", { sessionId: `${session.slice(0, -1)}3`, context: { cwd: "/p" } })],
  gemini: [{ sessionId: `${session.slice(0, -1)}4`, projectHash: "p", startTime: stamp(0), kind: "main" }],
};

const rowsOf: Readonly<Record<string, RowsOf>> = { "claude-code": claude, codex, copilot, qwen, gemini };

/** Clients whose transcripts are rows. */
export const clientsWithRows = Object.keys(rowsOf);

/** A session as its client writes it, a row a line; each prompt begins a turn that ends with its answer. */
export function writtenRows(client: string, turns: readonly Turn[]): string[] {
  const first = heads[client]?.length ?? 0;
  let second = first;
  const rows = turns.flatMap((turn) => {
    const written = rowsOf[client]?.(turn, second) ?? [];
    second += client === "copilot" ? 3 : 2;
    return written;
  });
  return [...(heads[client] ?? []), ...rows].map((row) => JSON.stringify(row));
}

function time(second: number): number {
  return Date.parse(stamp(second));
}

/** The same as `opencode export` prints it. */
export function openCodeExport(turns: readonly Turn[]): string {
  const messages = turns.flatMap(({ prompt, answer }, index) => [
    {
      info: { id: `u${index}`, role: "user", time: { created: time(2 * index) } },
      parts: [{ type: "text", text: prompt }],
    },
    {
      info: {
        id: `a${index}`,
        role: "assistant",
        finish: "stop",
        time: { created: time(2 * index + 1), completed: time(2 * index + 1) },
      },
      parts: [{ type: "text", text: answer }],
    },
  ]);
  return JSON.stringify({ info: { id: "ses_written", directory: "/p" }, messages });
}
