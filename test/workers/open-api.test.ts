import { expect, it } from "vitest";
import { errorTable, type ErrorCode } from "#src/contract/errors.ts";
import { commonErrors, type Operation } from "#src/contract/operation.ts";
import { operations } from "#src/contract/operations.ts";
import { request } from "./support.ts";

interface Described {
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly required: boolean }[];
  readonly requestBody?: {
    readonly content: { readonly "application/json": { readonly schema: { readonly properties?: object } } };
  };
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
}

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
}

const table = Object.entries(operations) as [string, Operation][];

async function read(): Promise<Document> {
  const answer = await request("/openapi.json");
  expect(answer.status).toBe(200);
  return answer.json();
}

it("[WO9] the document has every operation of HTTP and no other, each where the table puts it", async () => {
  const { openapi, paths } = await read();
  expect(openapi).toBe("3.1.0");
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => `${one.operationId} ${method} ${path}`),
  );
  const wanted = table
    .filter(([, operation]) => !operation.isSocketOnly)
    .map(([name, { method, path }]) => `${name} ${method.toLowerCase()} /v1/workspaces/{workspace}${path}`);
  expect(described.toSorted()).toEqual(wanted.toSorted());
});

it("[WO9] each operation is described with its scope, input and refusals", async () => {
  const { paths } = await read();
  for (const [name, operation] of table.filter(([, one]) => !one.isSocketOnly)) {
    const one = paths[`/v1/workspaces/{workspace}${operation.path}`]?.[operation.method.toLowerCase()];
    const { summary, scope, method, input, errors } = operation;
    expect(one).toMatchObject({ summary, description: `Scope ${scope}.` });
    const codes: readonly ErrorCode[] = [...commonErrors, ...errors];
    const missing = codes.filter((code) => !one?.responses[errorTable[code].status]?.description.includes(code));
    expect([name, missing]).toEqual([name, []]);
    const fields = Object.keys(input.shape);
    expect([name, fieldsOf(one)]).toEqual([
      name,
      method === "GET" ? { query: fields, body: [] } : { query: [], body: fields },
    ]);
  }
});

function fieldsOf(one: Described | undefined): { query: string[]; body: string[] } {
  const query = one?.parameters.filter((parameter) => parameter.in === "query").map((parameter) => parameter.name);
  const schema = one?.requestBody?.content["application/json"].schema;
  return { query: query ?? [], body: Object.keys(schema?.properties ?? {}) };
}

it("[WO9] every reference of the document leads somewhere in it", async () => {
  const document = await read();
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]*)"/g)].map((match) => match[1] ?? "");
  expect(references.length).toBeGreaterThan(100);
  for (const reference of new Set(references)) {
    const found = reference
      .split("/")
      .reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], document);
    expect([reference, typeof found]).toEqual([reference, "object"]);
  }
  expect(JSON.stringify(document)).not.toMatch(/"\$(defs|schema|id)"/);
});
