/** In `npm run test:quick`, where a property is tried with fewer cases, too: `npm test` has more. */
export const isQuick = process.env.ZEN_WATCHER_TESTS === 'quick';
