import type { Refusal } from "../../contract/errors.ts";
import { maxMessageBodyChars, type Target } from "../../contract/messages.ts";
import type { Json } from "../../contract/json.ts";
import { err, ok } from "../../shared/result.ts";
import { page } from "../kernel/pages.ts";
import type { Handlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";
import { topics } from "./inboxes.ts";
import { validate, type Schema } from "@cfworker/json-schema";
import { messageOf } from "../../shared/error.ts";
import { SchemaSteps } from "./schema-steps.ts";

/** About what a step of a check takes, and reading a character of the schema. */
const microsPerStep = 0.4;
const microsPerChar = 0.04;

export function unfit({ sql, spend }: Tx, target: Target, body: Json): Refusal | null {
  if (target.to !== "topic") return null;
  const [row] = sql.all<{ jsonSchema: string }>("SELECT jsonSchema FROM topics WHERE topic = ?", target.topic);
  if (!row) return null;
  spend?.(row.jsonSchema.length * microsPerChar);
  const why = findBodyProblem(JSON.parse(row.jsonSchema) as Json, body, (steps) => spend?.(steps * microsPerStep));
  if (why === null) return null;
  return { code: "schema_mismatch", message: `topic ${target.topic} does not accept the body: ${short(why)}` };
}

function short(text: string): string {
  return text.length > 300 ? `${text.slice(0, 300)}...` : text;
}

export const handlers = {
  /** [MS18] A topic with a schema may replace it even at the limit. */
  "messages.set-topic-schema"({ sql, settings }, { topic, schema }) {
    if (schema === null) topics.delete(sql, { topic });
    else {
      const text = JSON.stringify(schema);
      const problem = text.length > maxMessageBodyChars ? "it is too large" : findSchemaProblem(schema);
      if (problem !== null) return err({ code: "bad_input", message: `the schema cannot be used: ${short(problem)}` });
      const [others] = sql.all<{ n: number }>("SELECT count(*) AS n FROM topics WHERE topic <> ?", topic);
      if ((others?.n ?? 0) >= settings.maxTopicSchemas) return err(tooManySchemas(settings.maxTopicSchemas));
      topics.put(sql, { topic, jsonSchema: text });
    }
    return ok({ topic, hasSchema: schema !== null });
  },

  "messages.list-topic-schemas"({ sql }, { limit, cursor }) {
    const query = "SELECT topic, jsonSchema FROM topics WHERE topic > ? ORDER BY topic LIMIT ?";
    const rows = sql.all<{ topic: string; jsonSchema: string }>(query, cursor ?? "", limit + 1);
    const listed = page(rows, limit, ({ jsonSchema: schema }) => schema.length);
    return ok({
      topics: listed.map((row) => ({ topic: row.topic, schema: JSON.parse(row.jsonSchema) as Record<string, Json> })),
      cursor: rows.length > listed.length ? (listed.at(-1)?.topic ?? null) : null,
    });
  },
} satisfies Partial<Handlers>;

function tooManySchemas(most: number): Refusal {
  return { code: "quota_exceeded", message: `${most} topics have a schema (maxTopicSchemas); remove one first` };
}

/** JSON Schema (2019-09), by a library whose steps are bounded first. Pure. */

/** [MS21] [MS24] Reason why a schema cannot be used; null: it can. */
export function findSchemaProblem(schema: Json): string | null {
  return messageIfThrown(() => void new SchemaSteps(schema));
}

/**
 * [MS5] [MS23] Position and reason of a mismatch; null: the body fits.
 * @param spend is called with the steps of the check
 */
export function findBodyProblem(schema: Json, body: Json, spend?: (steps: number) => void): string | null {
  return messageIfThrown(() => {
    const steps = prepareSteps(schema);
    try {
      steps.count(schema, body);
    } finally {
      spend?.(steps.spent);
    }
    const { valid, errors } = validate(body, schema as Schema, "2019-09", steps.refs);
    const { instanceLocation = "#", error = "it does not match" } = errors.at(-1) ?? {};
    if (!valid) throw new Error(`${instanceLocation}: ${error}`);
  });
}

function prepareSteps(schema: Json): SchemaSteps {
  try {
    return new SchemaSteps(schema);
  } catch (error) {
    const why = `its schema cannot be used, set another one (messages.set-topic-schema): ${messageOf(error)}`;
    throw new Error(why, { cause: error });
  }
}

function messageIfThrown(check: () => void): string | null {
  try {
    check();
    return null;
  } catch (error) {
    return messageOf(error);
  }
}
