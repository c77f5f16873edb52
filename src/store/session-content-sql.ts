/** SQL: whether a session has anything to recover. `id` is SQL, too. */
export function hasContentSql(id: string): string {
  return `(EXISTS (SELECT 1 FROM checkpoints WHERE session = ${id}) OR
    EXISTS (SELECT 1 FROM journal WHERE session = ${id} AND kind IN ('prompt', 'assistant', 'tool_start', 'tool_end', 'tool_error')))`;
}
