'use strict';
// The floor: a web server that reads a body and answers 204, with its compile cache.
require('node:module').enableCompileCache(process.env.COMPILE_CACHE);
const server = require('node:http').createServer((request, response) => {
  request.resume().on('end', () => {
    response.statusCode = 204;
    response.end();
  });
});
server.listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
