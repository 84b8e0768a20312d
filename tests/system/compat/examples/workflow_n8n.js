// shared/seeds/workflow-scheduler.md, "Trigger n8n Workflow", as printed.
const schedule = {
  name: "Process Queue",
  cron_expression: "*/5 * * * *",
  target_type: "webhook",
  target_url: "http://localhost:5678/webhook/process-queue",
  target_payload: {
    queue_name: "documents",
    batch_size: 10
  }
};

fetch('http://localhost:8090/api/schedules', {
  method: 'POST',
  headers: {'Content-Type': 'application/json'},
  body: JSON.stringify(schedule)
});
