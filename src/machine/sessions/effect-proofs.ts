import { stripVTControlCharacters } from "node:util";
import type { EffectNote, EffectProof } from "../../contract/work-state.ts";
import { objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";

/** Pure: outcomes of what cannot be undone, as programs print them, and as a client names them. */

interface PrintedProof extends EffectProof {
  readonly line: RegExp;
  /** Commands of which the line says so; absent: of all of that kind. */
  readonly of?: RegExp;
}

const commits = String.raw`[0-9a-f]{7,40}\.{2,3}[0-9a-f]{7,40}`;
const creating = /\b(?:create|comment|review)\b/;

const table: readonly PrintedProof[] = [
  { kind: "push", outcome: "done", line: new RegExp(String.raw`^\s*(?:\+ )?${commits}\s+\S+ -> \S+`) },
  { kind: "push", outcome: "done", line: /^\s*[*-] \[(?:new (?:branch|tag|reference)|deleted)\]\s+\S/ },
  { kind: "push", outcome: "done", line: /^Everything up-to-date$/ },
  { kind: "push", outcome: "failed", line: /^\s*! \[(?:remote )?rejected\]\s/ },
  { kind: "publish", outcome: "done", line: /^\+ (?:@[\w.-]+\/)?[\w.-]+@\d+\.\d[\w.+-]*$/ },
  { kind: "publish", outcome: "failed", line: /^npm (?:ERR!|error) code \w/ },
  { kind: "release", outcome: "done", line: /^https:\/\/\S+\/releases\/tag\/\S+$/, of: creating },
  {
    kind: "message",
    outcome: "done",
    line: /^https:\/\/\S+\/(?:pull|merge_requests|issues)\/\d+(?:#\S+)?$/,
    of: creating,
  },
  { kind: "message", outcome: "failed", line: /^a pull request for branch .{1,300} already exists:/ },
];

const maxChars = 20_000;
/** Heads the lines of a push, and those of a fetch, which are alike. */
const remote = /^(To|From) \S/;

/**
 * Outcomes that the output of a call proves, one of a kind: of several commands of a kind only what
 * all of them have in common.
 *
 * @param effects of the call; null: not known
 */
export function provenBy(
  effects: readonly Pick<EffectNote, "kind" | "command">[] | null,
  printed: string,
  response: JsonObject | null = null,
): EffectProof[] {
  const named = namedBy(objectAt(response, "gitOperation"));
  const found = [...named, ...printedIn(stripVTControlCharacters(printed.slice(-maxChars)), effects)];
  const kinds = [...new Set(found.map(({ kind }) => kind))];
  return kinds.flatMap((kind) => {
    const outcomes = found.filter((one) => one.kind === kind).map(({ outcome }) => outcome);
    const count = effects?.filter((one) => one.kind === kind).length ?? 1;
    const [outcome] = outcomes;
    const isProven = count > 0 && outcomes.length >= count && outcomes.every((one) => one === outcome);
    return isProven && outcome !== undefined ? [{ kind, outcome }] : [];
  });
}

function printedIn(text: string, effects: Parameters<typeof provenBy>[0]): EffectProof[] {
  let header = "";
  return text.split("\n").flatMap((line) => {
    header = remote.exec(line)?.[1] ?? header;
    const found = table.find((one) => one.line.test(line));
    if (!found || (found.kind === "push" && header === "From")) return [];
    const { of, kind, outcome } = found;
    const isOf = of === undefined || effects?.some((one) => one.kind === kind && of.test(one.command)) === true;
    return isOf ? [{ kind, outcome }] : [];
  });
}

/** Claude Code says itself what a command has done. */
function namedBy(operation: JsonObject | null): EffectProof[] {
  const push: EffectProof[] = objectAt(operation, "push") === null ? [] : [{ kind: "push", outcome: "done" }];
  const isRequest = textAt(objectAt(operation, "pr"), "action") !== null;
  return isRequest ? [...push, { kind: "message", outcome: "done" }] : push;
}
