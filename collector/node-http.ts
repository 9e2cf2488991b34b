/**
 * `node:http` without its browser classes. An `import` of it reads every export for its namespace, and three of them bring in undici:
 * 15 MB of memory and a tenth of a second that nobody here has a use for.
 */
export const http: typeof import('node:http') = process.getBuiltinModule('node:http');
