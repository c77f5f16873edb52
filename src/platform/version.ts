export const version = "0.1.0";

/** Written by the build. */
declare const shimBuiltAt: number | undefined;

/** Epoch ms of the newest source of a build; 0 where the sources run. */
export const builtAt = typeof shimBuiltAt === "number" ? shimBuiltAt : 0;
