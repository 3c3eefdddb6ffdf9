/**
 * Imports a package of this folder: `import()` looks from the file that calls it, and only here are they installed.
 *
 * Owns nothing. Plain JavaScript, loaded past the compiler of the suites, as what it loads is.
 */
export const load = (name) => import(name);
