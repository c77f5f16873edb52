import * as fc from "fast-check";
import { claudeCode } from "#src/clients/claude-code/claude-code.ts";
import type { HookEvent } from "#src/contract/hooks.ts";
import { drainInto } from "#src/local-mcp/events/answer-hook.ts";
import { spoolEvent } from "#src/local-mcp/events/spool-event.ts";
import { recordDeaths } from "#src/machine/recovery/incomplete/deaths.ts";
import * as marks from "#src/machine/recovery/marks.ts";
import { aLiveClaude, anotherClaude, type Claude } from "./claude.ts";
import { reportEnd } from "./report-end.ts";
import type { TempRuntime } from "./temp-runtime.ts";
import { aToolResultLine, aUserLine } from "./transcripts.ts";

const deploy = { command: "npm run deploy" };
const refusal = "The user doesn't want to proceed with this tool use. The tool use was rejected.";

/** A chat, with others that begin beside it. */
export interface Story {
  readonly runtime: TempRuntime;
  readonly claude: Claude;
  readonly others: Claude[];
  call: string;
}

export function aStory(runtime: TempRuntime): Story {
  return { runtime, claude: aLiveClaude(runtime, "deploy it"), others: [], call: "none" };
}

function timeOf({ runtime }: Story): { readonly timestamp: string } {
  return { timestamp: new Date(runtime.now()).toISOString() };
}

/** An event that no host has taken. */
function spool({ runtime, claude }: Story, event: HookEvent, fields: object): void {
  const input = { session_id: claude.session, ...claude.input(event, { ...fields }) };
  spoolEvent(runtime, { client: claudeCode, event, input, clientPid: claude.pid });
}

/** What can happen to a chat, in any order. */
const deeds = {
  prompts: ({ claude }) => claude.prompt("and the docs"),
  calls: (story) => void (story.call = story.claude.begin("Bash", deploy)),
  returns: ({ claude, call }) => claude.done(call, "Bash", deploy),
  asks: ({ claude }) => claude.tell("PermissionRequest", { tool_name: "Bash", tool_input: deploy }),
  "is refused": (story) => story.claude.transcribe(aToolResultLine(story.call, refusal, true, timeOf(story))),
  "is stopped": (story) => story.claude.transcribe(aUserLine("[Request interrupted by user]", timeOf(story))),
  speaks: ({ claude }) => claude.say("I begin."),
  "ends its turn": ({ claude }) => claude.stop(),
  "ends it with a question": ({ claude }) => claude.stop("Shall I go on?"),
  fails: ({ claude }) => claude.tell("StopFailure", { error: "overloaded" }),
  "is killed": ({ claude }) => claude.kill(),
  "is opened": ({ claude }) => claude.resume(),
  "is closed": ({ claude }) => claude.end("other"),
  "is left": ({ claude }) => claude.end(),
  "had ended its turn": (story) => spool(story, "Stop", { last_assistant_message: "Done." }),
  "had prompted": (story) =>
    spool(story, "UserPromptSubmit", { prompt: "and the tests", prompt_id: `late-${story.runtime.now()}` }),
  "had been left": (story) => spool(story, "SessionEnd", { reason: "prompt_input_exit" }),
  "had been closed": (story) => spool(story, "SessionEnd", { reason: "other" }),
  "loses its front": ({ runtime, claude }) =>
    runtime.store.write((sql) => reportEnd(sql, runtime, claude.session, "stdin_end")),
  "is seen to be dead": ({ runtime }) => recordDeaths(runtime, () => true),
  "is read": ({ runtime }) => drainInto(runtime),
  "is offered": ({ runtime, claude, others }) => {
    const session = `b${others.length}${claude.session.slice(2)}`;
    const other = anotherClaude(runtime, claude, { session, pid: 3_000 + others.length });
    others.push(other);
    other.start();
  },
  "is taken": ({ runtime, claude, others: [other] }) =>
    other && marks.take(runtime, { session: claude.session, to: other.session, score: null }),
  "is dismissed": ({ runtime, claude }) => marks.dismiss(runtime, claude.session),
  "is given back": ({ runtime, claude }) => marks.undo(runtime, claude.session),
  waits: ({ runtime }) => runtime.wait(5_000),
  "waits long": ({ runtime }) => runtime.wait(1_200_000),
} satisfies Record<string, (story: Story) => unknown>;

export type Deed = keyof typeof deeds;

export const someDeeds = fc.array(fc.constantFrom(...(Object.keys(deeds) as Deed[])), { maxLength: 14 });

export function happen(story: Story, deed: Deed): void {
  story.runtime.wait(100);
  deeds[deed](story);
}
