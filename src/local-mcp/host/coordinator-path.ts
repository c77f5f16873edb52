/** The name of an operation of the machine's coordinator follows. */
export const coordinatorPath = "/coordinator/";
/** Instead of an operation: a line for each commit of others. */
export const commits = "commits";
