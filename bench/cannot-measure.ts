/** What a bench needs is not there: its message says what to do, and no stack is of use. */
export class CannotMeasureError extends Error {
  override readonly name = "CannotMeasureError";
}

/** @param find throws where the program that is needed is not installed, and says how to install it */
export function needed<T>(find: () => T): T {
  try {
    return find();
  } catch (error) {
    throw new CannotMeasureError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
