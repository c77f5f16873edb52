import * as z from "zod";
import type { Refusal } from "../../contract/errors.ts";
import type { Json } from "../../contract/json.ts";
import { maxMessageBodyChars, type Target } from "../../contract/messages.ts";
import { err, ok } from "../../shared/result.ts";
import { formatIssues } from "../../shared/problems.ts";
import type { Handlers } from "../kernel/handlers.ts";
import { page } from "../kernel/pages.ts";
import type { Tx } from "../kernel/tx.ts";
import { topics } from "./inboxes.ts";

const Type = z.enum(["null", "boolean", "integer", "number", "string", "array", "object"]);
const Scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const size = z.int().min(0).optional();

/** Keywords of JSON Schema of which at most one schema applies to each value of a body. */
const TopicSchema = z.strictObject({
  $schema: z.string().optional(),
  title: z.string().optional(),
  description: z.string().optional(),
  type: z.union([Type, z.array(Type)]).optional(),
  enum: z.array(Scalar).max(100).optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  minLength: size,
  maxLength: size,
  minItems: size,
  maxItems: size,
  required: z.array(z.string()).max(100).optional(),
  get properties() {
    return z.record(z.string(), TopicSchema).optional();
  },
  get additionalProperties() {
    return z.union([z.boolean(), TopicSchema]).optional();
  },
  get items() {
    return TopicSchema.optional();
  },
});
type TopicSchema = z.infer<typeof TopicSchema>;

export function unfit({ sql }: Tx, target: Target, body: Json): Refusal | null {
  if (target.to !== "topic") return null;
  const row = topics.find(sql, { topic: target.topic });
  const why = row && findMismatch(JSON.parse(row.jsonSchema) as TopicSchema, body, "#");
  return why
    ? { code: "schema_mismatch", message: `topic ${target.topic} does not accept the body: ${short(why)}` }
    : null;
}

function short(text: string): string {
  return text.length > 300 ? `${text.slice(0, 300)}...` : text;
}

export const handlers = {
  /** A topic with a schema may replace it even at the limit. */
  "messages.set-topic-schema"({ sql, settings }, { topic, schema }) {
    if (schema === null) topics.delete(sql, { topic });
    else {
      const text = JSON.stringify(schema);
      const { error } = TopicSchema.safeParse(schema);
      const problem = text.length > maxMessageBodyChars ? "it is too large" : error && formatIssues(error);
      if (problem) return err({ code: "bad_input", message: `the schema cannot be used: ${short(problem)}` });
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

/** Position and reason of the first mismatch; null: the body fits. */
function findMismatch(schema: TopicSchema, value: Json, at: string): string | null {
  const types = schema.type === undefined ? [] : [schema.type].flat();
  if (types.length > 0 && !types.some((type) => hasType(value, type))) return `${at}: must be ${types.join(" or ")}`;
  if (schema.enum && !schema.enum.some((one) => one === value)) return `${at}: one of ${JSON.stringify(schema.enum)}`;
  if (typeof value === "number") return findBoundProblem(schema.minimum, value, schema.maximum, at);
  if (typeof value === "string")
    return findBoundProblem(schema.minLength, value.length, schema.maxLength, `${at}: length`);
  if (Array.isArray(value)) return findInItems(schema, value, at);
  return value !== null && typeof value === "object" ? findInFields(schema, value, at) : null;
}

function hasType(value: Json, type: z.infer<typeof Type>): boolean {
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "integer") return Number.isInteger(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  return typeof value === type;
}

function findBoundProblem(least = -Infinity, found: number, most = Infinity, at: string): string | null {
  if (found < least) return `${at}: at least ${least}, not ${found}`;
  return found > most ? `${at}: at most ${most}, not ${found}` : null;
}

function findInItems(schema: TopicSchema, items: readonly Json[], at: string): string | null {
  const problem = findBoundProblem(schema.minItems, items.length, schema.maxItems, `${at}: items`);
  if (problem !== null || !schema.items) return problem;
  for (const [index, item] of items.entries()) {
    const found = findMismatch(schema.items, item, `${at}/${index}`);
    if (found !== null) return found;
  }
  return null;
}

function findInFields(schema: TopicSchema, fields: Readonly<Record<string, Json>>, at: string): string | null {
  const missing = schema.required?.find((name) => !Object.hasOwn(fields, name));
  if (missing !== undefined) return `${at}: ${missing} is missing`;
  for (const [name, field] of Object.entries(fields)) {
    const named = schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    const own = named ?? schema.additionalProperties ?? true;
    if (own === false) return `${at}/${name}: no such field`;
    const found = own === true ? null : findMismatch(own, field, `${at}/${name}`);
    if (found !== null) return found;
  }
  return null;
}
