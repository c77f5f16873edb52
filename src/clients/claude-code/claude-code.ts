import type { UsageLimit } from "../../contract/config.ts";
import { hookEvents, type HookEvent, type RequestDecision } from "../../contract/hooks.ts";
import { asObject, listAt, numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { chatOptions, type ClientAdapter } from "../adapter/client-adapter.ts";

/** The error is a row, a line of a headless run, or an event. `rate_limit` may be a throttling. */
export function claudeLimit(error: JsonObject): UsageLimit | null {
  const info = objectAt(
    objectAt(error, "apiErrorParams") ?? objectAt(error, "api_error_params") ?? error,
    "rate_limit_info",
  );
  const seconds = numberAt(info, "resetsAt");
  const isReached =
    error["error"] === "billing_error" ||
    (error["apiError"] ?? error["api_error"]) === "usage_limit_reached" ||
    (info?.["status"] === "rejected" && seconds !== null);
  return isReached ? { resetsAtMs: seconds === null ? null : seconds * 1_000 } : null;
}

/** Settings of its tools and MCP servers, but no secret that has such a name. */
const settingVariables =
  /^(?!\w*(TOKEN|SECRET|PASSWORD|CREDENTIALS?|KEY)$)((DISABLE|ENABLE|MAX|MCP)_\w+|BASH_\w+_(MS|LENGTH))$/;

/** Credentials of a cloud only if it is set to use that cloud. */
function claudeVariables(env: NodeJS.ProcessEnv): RegExp[] {
  return [
    /^(ANTHROPIC_\w+|CLAUDE_\w+)$/,
    settingVariables,
    ...(env["CLAUDE_CODE_USE_BEDROCK"] ? [/^AWS_\w+$/] : []),
    ...(env["CLAUDE_CODE_USE_VERTEX"] ? [/^(GOOGLE_\w+|GCLOUD_\w+|CLOUDSDK_\w+|CLOUD_ML_REGION|VERTEX_\w+)$/] : []),
    ...(env["CLAUDE_CODE_USE_FOUNDRY"] ? [/^AZURE_\w+$/] : []),
  ];
}

const claudeChatVariables =
  /^(CLAUDECODE|CLAUDE_CODE_(SESSION_ID|ENTRYPOINT|MESSAGING_\w+|SSE_PORT|CHILD_SESSION)|CLAUDE_(PROJECT_DIR|ENV_FILE|PID))$/;

/** Seen with 2.1.332: for a question or a plan an allowance counts only together with the input. */
function own({ input, answers, rules, ...decision }: RequestDecision): object {
  const questions = listAt(input ?? null, "questions").map((one) => textAt(asObject(one), "question") ?? "");
  const texts = answers?.map((answer, at) => [questions[at] ?? "", answer.join(", ")] as const);
  const given = texts === undefined ? input : { ...input, answers: Object.fromEntries(texts) };
  return omitUndefined({ ...decision, updatedInput: given, updatedPermissions: rules });
}

const eventsByName: ReadonlyMap<string, HookEvent> = new Map(hookEvents.map((name) => [name, name]));

export const claudeCode: ClientAdapter = {
  name: "claude-code",
  title: "Claude Code",
  verifiedWith: "2.1.328",
  asksUser: true,
  startsHooks: "itself",
  answers: {
    dialog: "beside-hook",
    permission: ["allow", "session", "deny"],
    question: ["answer", "deny"],
    plan: ["allow", "deny"],
  },
  continuesAtStop: true,
  // A signal ends the client, and a hook that wakes an idle chat brings no words of its user.
  window: { stop: "hook" },
  events: hookEvents,
  lacks: [],
  // The summary comes after the start that follows a compaction.
  compaction: { keepsPrompts: false, showsSummary: true },
  keepsStart: true,
  limitIn: claudeLimit,
  variables: {
    own: claudeVariables,
    attended: { CLAUDE_CODE_ENTRYPOINT: "shim" },
    ofChat: claudeChatVariables,
    session: "CLAUDE_CODE_SESSION_ID",
  },
  normalise(name, input) {
    const event = eventsByName.get(name);
    return event === undefined ? [] : [{ event, input }];
  },
  answer(_event, answer) {
    const { decision, ...inner } = answer.hookSpecificOutput ?? {};
    return decision === undefined ? answer : { ...answer, hookSpecificOutput: { ...inner, decision: own(decision) } };
  },
  commands: {
    resume: (session) => ({ command: "claude", args: ["--resume", session] }),
    run: (prompt, args, chat) => ({ command: "claude", args: ["-p", ...chatOptions(chat), ...args], input: prompt }),
    start: (prompt, id) => ({ command: "claude", args: ["--session-id", id, prompt] }),
  },
};
