// Loaded before an example: its `localhost:8080` and `localhost:8090` are where the test's instance listens, and what has no
// token gets the test's. Each answer is printed, so that the test sees what the example saw.
const before = globalThis.fetch;
globalThis.fetch = async (url, options = {}) => {
  const there = String(url).replace(/^http:\/\/localhost:80[89]0/, process.env.SQUIRREL_TEST_URL);
  const headers = { Authorization: process.env.SQUIRREL_TEST_TOKEN, ...options.headers };
  const response = await before(there, { ...options, headers });
  console.log(`ANSWER ${response.status} ${await response.clone().text()}`);
  return response;
};
