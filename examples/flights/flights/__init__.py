"""Will a flight arrive more than 15 minutes late? Asked one hour before it is due to leave."""
