// shared/seeds/redis-scheduler.md, "Example Node.js Client"; mended: `data` was not defined in the log line.
const apiUrl = 'http://localhost:8080/schedule';
const apiToken = 'your_api_auth_token';

async function scheduleTask() {
  try {
    const response = await fetch(apiUrl, {
      method: 'POST',
      headers: {
        'Authorization': apiToken,
        'Content-Type': 'application/json'
      },
      body: JSON.stringify({
        webhook: 'https://example.com/webhook',
        ttl: 120, // 2 minutes
        data: {
          message: 'Hello from Node.js!'
        }
      })
    }).then(res => res.json());

    if (response.error) throw new Error(response.error);
    console.log('Task scheduled successfully:', response.data);
  } catch (error) {
    console.error('Error scheduling task:', error.message);
  }
}

scheduleTask();
