/** What the bench asks of the scripted Claude Desktop, one line of JSON each, and what it answers. */
export type AppOrder =
  /** All that the server gives a model to read. */
  | { readonly do: "read" }
  | { readonly do: "call"; readonly name: string; readonly input: Readonly<Record<string, unknown>> };

export interface AppAnswer {
  readonly text: string;
  /** The session that the answer of a tool names. */
  readonly session: string | null;
}
