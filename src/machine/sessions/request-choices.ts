import type { Question, QuestionAnswer } from "../../contract/machine/requests.ts";
import { redact } from "../../redaction/redact.ts";
import type { Grant, PermissionRequest } from "../../runtime/permission-requests.ts";
import { asObject, listAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import { revealed } from "../../shared/visible-text.ts";

/** Pure: questions of a chat, the answers to them, and what may be allowed for a session. */

/** Questions in the client's own words; none: the input has another form. */
export function questionsOf(input: unknown): Question[] {
  return listAt(asObject(input), "questions").flatMap((given) => {
    const one = asObject(given);
    const question = textAt(one, "question");
    const choices = listAt(one, "options").flatMap((option) => {
      const label = textAt(asObject(option), "label");
      return label === null ? [] : [{ label, description: textAt(asObject(option), "description") }];
    });
    return question === null
      ? []
      : [{ question, choices, isMultiple: (one?.["multiSelect"] ?? one?.["multiple"]) === true }];
  });
}

/** The same for a person, redacted. */
export function shownQuestions(input: unknown): Question[] {
  return questionsOf(input).map(({ question, isMultiple, choices }) => ({
    question: shown(question),
    isMultiple,
    choices: choices.map(({ label, description }) => ({
      label: shown(label),
      description: description === null ? null : shown(description),
    })),
  }));
}

function shown(text: string): string {
  return revealed(redact(text).text);
}

/** @returns labels and words for each question; the client gets the labels as it has sent them */
export function chosen(
  { toolInput }: Pick<PermissionRequest, "toolInput">,
  answers: readonly QuestionAnswer[],
): Result<string[][]> {
  const questions = questionsOf(toolInput);
  const wrong = questions.flatMap((question, at) => {
    const problem = problemOf(question, answers[at]);
    return problem === null ? [] : [`question ${at + 1} ${problem}`];
  });
  if (answers.length > questions.length) wrong.push(`it asks ${questions.length}, and ${answers.length} are answered`);
  if (wrong.length > 0) return fail("bad_input", `${wrong.join("; ")}.`);
  return ok(
    questions.map(({ choices }, at) => {
      const { choices: numbers = [], words } = answers[at] ?? {};
      const labels = choices.filter((_, index) => numbers.includes(index + 1)).map(({ label }) => label);
      return words === undefined ? labels : labels.concat(redact(words).text);
    }),
  );
}

function problemOf({ choices, isMultiple }: Question, given: QuestionAnswer | undefined): string | null {
  const { choices: numbers = [], words } = given ?? {};
  const count = new Set(numbers).size + (words === undefined ? 0 : 1);
  if (count === 0) return "has no answer: give the number of a choice, or words";
  if (numbers.some((number) => number > choices.length)) return `has ${choices.length} choices`;
  return count > 1 && !isMultiple ? "takes one choice, or words" : null;
}

/** Whether a call has ended with other answers than those that were given. */
export function saysOther(
  { toolInput }: Pick<PermissionRequest, "toolInput">,
  given: readonly (readonly string[])[],
  response: unknown,
): boolean {
  const said = objectAt(asObject(response), "answers");
  return questionsOf(toolInput).some(({ question }, at) => {
    const texts = [said?.[question]].flat().filter((one) => typeof one === "string");
    return texts.length > 0 && given[at] !== undefined && texts.join(", ") !== given[at].join(", ");
  });
}

/**
 * @param suggestions in Claude Code's form
 * @returns null: there is none, or one whose effect is not known
 */
export function grantOf(suggestions: unknown): Grant | null {
  const rules = Array.isArray(suggestions) ? suggestions.map(asObject) : [];
  const texts = rules.map(effectOf);
  if (rules.length === 0 || texts.includes(null)) return null;
  const all = rules.map((rule) => Object.assign({}, rule, { destination: "session" }));
  return { text: shown(texts.join(", ")), rules: all };
}

function effectOf(rule: JsonObject | null): string | null {
  const type = textAt(rule, "type");
  if (type === "addRules" && rule?.["behavior"] === "allow") {
    const names = listAt(rule, "rules").map((one) => {
      const [tool, content] = [textAt(asObject(one), "toolName"), textAt(asObject(one), "ruleContent")];
      return content === null ? `every call of ${tool ?? "a tool"}` : `${tool ?? "a tool"}: ${content}`;
    });
    return names.length === 0 ? null : names.join(", ");
  }
  if (type === "addDirectories") return `the folder ${listAt(rule, "directories").join(", ")}`;
  return type === "setMode" && rule?.["mode"] === "acceptEdits" ? "edits of files without asking" : null;
}
